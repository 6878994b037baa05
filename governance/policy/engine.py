"""CEL, compiled against the declared facts.

An evaluation error of the engine is a *string*, and a string is truthy. Only a value of type BOOL that is `True`
passes.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from cel_expr_python import cel

from governance.evidence.schemas import name_hint
from governance.policy.clauses import misleading
from governance.policy.facts import FactType, FactValue, Vocabulary

SOURCE_LIMIT = 4096
ENGINE = f"cel-expr-python {version('cel-expr-python')}"

_FAULT = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<words>.*?)(?=\n \| )", re.DOTALL)
_UNKNOWN = re.compile(r"undeclared reference to '(?P<name>[^']*)'")
_WRAPPING = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")

_CEL_TYPES = {
    FactType.NUMBER: cel.Type.DOUBLE,
    FactType.INTEGER: cel.Type.INT,
    FactType.TEXT: cel.Type.STRING,
    FactType.TRUTH: cel.Type.BOOL,
}


class Truth(StrEnum):
    """What a clause gave."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ClauseFault:
    """One fault of a clause: what is wrong, and the index in the clause, or None when it is about the whole."""

    message: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class ClauseError(Exception):
    """A clause cannot be used."""

    faults: tuple[ClauseFault, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts by dotted name, of the declared types, handed to the engine once for all clauses that look at them."""

    values: dict[str, FactValue]
    activation: Any

    @classmethod
    def of(cls, values: dict[str, FactValue], vocabulary: Vocabulary) -> "Facts":
        """Hand facts to the engine."""
        return cls(values, _environment(vocabulary).Activation(data=values))


@dataclass(frozen=True, slots=True)
class Clause:
    """A compiled clause."""

    source: str
    program: Any

    def evaluate(self, facts: Facts) -> tuple[Truth, str]:
        """Evaluate over facts; return the result and, for an error, the engine's words."""
        try:
            result = self.program.eval(activation=facts.activation)
        except RuntimeError as error:
            return Truth.ERROR, str(error)
        if result.type() != cel.Type.BOOL:
            return Truth.ERROR, str(result.value())
        return (Truth.TRUE if result.value() is True else Truth.FALSE), ""


def compile_clause(source: str, vocabulary: Vocabulary) -> Clause:
    """Compile and type-check a clause against what policies can speak of.

    Raises:
        ClauseError: Syntax, unknown name, wrong type, a result that is not true or false, or a condition that misleads.
            All faults are given.
    """
    if len(source) > SOURCE_LIMIT:
        words = f"a clause has at most {SOURCE_LIMIT} characters, this one has {len(source)}"
        raise ClauseError((ClauseFault(words),))
    misled = tuple(ClauseFault(item.message, item.at) for item in misleading(source))
    try:
        program = _environment(vocabulary).compile(source)
    except RuntimeError as error:
        raise ClauseError((*_faults(str(error), source, vocabulary), *misled)) from error
    if program.return_type() != cel.Type.BOOL:
        words = f"a clause must be true or false, this one gives {program.return_type().name()}"
        raise ClauseError((ClauseFault(words), *misled))
    if misled:
        raise ClauseError(misled)
    return Clause(source=source, program=program)


def fact_hint(name: str, vocabulary: Vocabulary) -> str:
    """Say which declared fact was probably meant; there are too many to list them all."""
    hint = name_hint(name, vocabulary.facts)
    return "it is none of the declared facts" if hint.startswith("known") else hint


def _faults(words: str, source: str, vocabulary: Vocabulary) -> tuple[ClauseFault, ...]:
    """Read the engine's message, which names each fault by line and column."""
    found = [
        ClauseFault(_message(match["words"], vocabulary), _index(source, int(match["line"]), int(match["column"])))
        for match in _FAULT.finditer(words)
    ]
    # What the engine says of the whole clause, for instance that it nests too deeply, has no place.
    return tuple(found) or (ClauseFault(_WRAPPING.sub("", words).strip()),)


def _message(words: str, vocabulary: Vocabulary) -> str:
    message = words.removesuffix(" (in container '')")
    unknown = _UNKNOWN.fullmatch(message)
    if unknown is None:
        return message
    return f'unknown fact or function "{unknown["name"]}"; {fact_hint(unknown["name"], vocabulary)}'


def _index(source: str, line: int, column: int) -> int:
    starts = [0, *(match.end() for match in re.finditer("\n", source))]
    return min(starts[min(line, len(starts)) - 1] + column - 1, len(source))


@lru_cache(maxsize=64)
def _environment(vocabulary: Vocabulary) -> Any:  # noqa: ANN401 - the library publishes no types
    return cel.NewEnv(variables={name: _CEL_TYPES[kind] for name, kind in vocabulary.facts.items()})
