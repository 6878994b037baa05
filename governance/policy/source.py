"""YAML text -> values, with the place of each in the text, so that a fault can be pointed at.

The reader is stricter than YAML: a key stands once, and there are no aliases, which can grow without bound, no types
(`!!name`), and no nesting that no document of ours needs.
"""

from collections import Counter
from typing import Any

import yaml

from governance.policy.errors import Diagnostic, DocumentError

DEPTH_LIMIT = 12
_SHOWN = 160


class Source:
    """A document and where each of its values stands."""

    def __init__(self, text: str, *, limit: int, what: str, error: type[DocumentError]) -> None:
        """Read a document.

        Args:
            text: The YAML.
            limit: How many characters it may have.
            what: What it is, for messages: `a policy`.
            error: What is raised for such a document.

        Raises:
            DocumentError: As given; it is too long, or not one unambiguous YAML document; the fault says where.
        """
        self._lines = text.splitlines()
        self._text = text
        if len(text) > limit:
            raise error([Diagnostic("", f"{what} has at most {limit} characters, this one has {len(text)}")])
        try:
            loader = _StrictLoader(text, what)
            self._root = loader.get_single_node()
            self.value: Any = None if self._root is None else loader.construct_document(self._root)
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            raise error([self._marked("", f"not YAML: {fault.problem or fault.context}", mark)]) from fault
        except (yaml.YAMLError, ValueError) as fault:  # ValueError: a date such as 2026-13-01
            raise error([self._plain(f"not YAML: {fault}", fault)]) from fault

    def fault(self, pointer: str, message: str, *, within: int | None = None) -> Diagnostic:
        """Point at a value, or at a character of its text.

        Args:
            pointer: The value; of what is missing the nearest thing that should hold it is pointed at.
            message: What is wrong.
            within: Index into the value's text, as it was read.
        """
        node = self._nearest(pointer)
        if node is None:
            return Diagnostic(pointer, message)
        if within is None or not isinstance(node, yaml.ScalarNode):
            return self._marked(pointer, message, node.start_mark)
        line, column = self._position(_place(self._text, node, within))
        return Diagnostic(pointer, message, line, column, self._excerpt(line, column))

    def _nearest(self, pointer: str) -> yaml.Node | None:
        node = self._root
        for part in pointer.split("/")[1:]:
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if str(pair[0].value) == part), None)
                if found is None:
                    return node
                node = found[1]
            elif isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
                node = node.value[int(part)]
        return node

    def _marked(self, pointer: str, message: str, mark: Any) -> Diagnostic:  # noqa: ANN401 - PyYAML publishes no type
        if mark is None:
            return Diagnostic(pointer, message)
        line, column = mark.line + 1, mark.column + 1
        return Diagnostic(pointer, message, line, column, self._excerpt(line, column))

    def _plain(self, message: str, error: Exception) -> Diagnostic:
        place = getattr(error, "position", None)
        if not isinstance(place, int):
            return Diagnostic("", message)
        line, column = self._position(place)
        return Diagnostic("", message, line, column, self._excerpt(line, column))

    def _position(self, index: int) -> tuple[int, int]:
        before = self._text[:index]
        return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1

    def _excerpt(self, line: int, column: int) -> str:
        if not 0 < line <= len(self._lines):
            return ""
        start = max(0, column - _SHOWN)
        shown = self._lines[line - 1][start : start + 2 * _SHOWN]
        return f" | {shown}\n | {'.' * (column - 1 - start)}^"


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses what could be read in two ways, or grow."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__(text)
        self._what = what
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem=f"aliases (*name) are not allowed in {self._what}", problem_mark=mark)
        if tag := getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem=f"types ({tag}) are not allowed in {self._what}", problem_mark=mark)
        if self._depth == DEPTH_LIMIT:
            raise yaml.MarkedYAMLError(problem=f"nests deeper than {DEPTH_LIMIT} levels", problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = Counter(str(self.construct_object(key, deep=True)) for key, _ in node.value)
        if repeated := sorted(key for key, times in keys.items() if times > 1):
            last = [key for key, _ in node.value if str(key.value) == repeated[0]][-1:] or [node]
            problem = f"given twice: {', '.join(repeated)}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=last[0].start_mark)
        return super().construct_mapping(node, deep)


def _place(text: str, node: yaml.ScalarNode, within: int) -> int:
    """Give the index in the document of a character of a scalar, whichever way the scalar is written.

    What was read and what is written are walked together: white space may have been folded, a quote doubled, a
    character escaped.
    """
    here, end = node.start_mark.index, node.end_mark.index
    if node.style in {"'", '"'}:
        here += 1
    elif node.style in {"|", ">"}:
        here = text.find("\n", here) + 1
    for read in str(node.value)[:within]:
        while here < end and text[here].isspace() and not read.isspace():
            here += 1
        if node.style == '"' and text[here] == "\\":
            here += {"x": 4, "u": 6, "U": 10}.get(text[here + 1], 2)
        else:
            here += 2 if node.style == "'" and read == "'" else 1
    while here < end and text[here].isspace() and not str(node.value)[within : within + 1].isspace():
        here += 1
    return min(here, end)
