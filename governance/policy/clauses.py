"""What compiles and is refused all the same: conditions that mislead, and ones that could run for long.

The engine checks names and types; it does not know what a gate must not be asked. A clause is looked at token by token.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<text>[rRbB]{0,2}(?:\"\"\"(?s:.*?)\"\"\"|'''(?s:.*?)'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<number>\d[\w.]*)
      | (?P<sign><=|>=|==|!=|&&|\|\||.)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a clause, and its index."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Misleading:
    """What must not stand in a clause, and its index."""

    message: str
    at: int


def tokens(clause: str) -> list[Token]:
    """Split a clause; white space and comments are left out. Every text has one split."""
    found = (match for match in _TOKEN.finditer(clause) if match.lastgroup != "space")
    return [Token(match.group(), match.start()) for match in found]


def misleading(clause: str) -> list[Misleading]:
    """Give everything in a clause that compiles and must not be asked.

    A comparison with a number that is none (NaN) is false, so its negation is true: the negation of "too low" lets
    through what could not be measured. Nested comprehensions grow with the power of their depth.
    """
    parts = tokens(clause)
    return [*_negated(parts), *_nested(parts)]


def _negated(parts: list[Token]) -> Iterator[Misleading]:
    words = "is true for a number that could not be measured (NaN); write the comparison that must hold"
    for index, part in enumerate(parts):
        after = parts[index + 1].text if index + 1 < len(parts) else ""
        if part.text == "!" and after == "(":
            inner = parts[index + 1 : _end(parts, index + 1)]
            if any(token.text in _COMPARISONS for token in inner):
                yield Misleading(f"a negated comparison, !(...), {words}", part.at)
        elif (part.text, after) in {("==", "false"), ("!=", "true"), ("false", "=="), ("true", "!="), ("?", "false")}:
            yield Misleading(
                f"a negation spelt {part.text} {after}; write ! before a truth, or the comparison that must hold",
                part.at,
            )


def _nested(parts: list[Token]) -> Iterator[Misleading]:
    inside: list[int] = []
    for index, part in enumerate(parts):
        inside = [end for end in inside if index < end]
        called = part.text in _MACROS and parts[index - 1 : index] and parts[index - 1].text == "."
        if called and index + 1 < len(parts) and parts[index + 1].text == "(":
            if inside:
                yield Misleading(f"{part.text} inside another comprehension; a clause has one level of them", part.at)
            inside.append(_end(parts, index + 1))


def _end(parts: list[Token], opening: int) -> int:
    """Give the index of the bracket that closes one."""
    depth = 0
    for index in range(opening, len(parts)):
        depth += (parts[index].text in _OPENING) - (parts[index].text in _CLOSING)
        if depth == 0:
            return index
    return len(parts)
