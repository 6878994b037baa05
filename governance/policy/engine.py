"""CEL, compiled against the declared facts.

An evaluation error of the engine is a *string*, and a string is truthy. Only a value of type BOOL that is `True`
passes.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from typing import Any

from cel_expr_python import cel

from governance.policy.facts import FactType, FactValue, fact_types

SOURCE_LIMIT = 4096
ENGINE = f"cel-expr-python {version('cel-expr-python')}"

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
class ClauseError(Exception):
    """A clause does not compile; `message` holds line, column and a caret."""

    message: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A compiled clause."""

    source: str
    program: Any

    def evaluate(self, facts: dict[str, FactValue]) -> tuple[Truth, str]:
        """Evaluate over facts by dotted name; return the result and, for an error, the engine's words."""
        try:
            result = self.program.eval(data=facts)
        except RuntimeError as error:
            return Truth.ERROR, str(error)
        if result.type() != cel.Type.BOOL:
            return Truth.ERROR, str(result.value())
        return (Truth.TRUE if result.value() is True else Truth.FALSE), ""


def compile_clause(source: str) -> Clause:
    """Compile and type-check a clause.

    Raises:
        ClauseError: Syntax, unknown name, wrong type, or a result that is not true or false.
    """
    if len(source) > SOURCE_LIMIT:
        raise ClauseError(f"a clause has at most {SOURCE_LIMIT} characters, this one has {len(source)}")
    try:
        program = _environment().compile(source)
    except RuntimeError as error:
        raise ClauseError(str(error).split(" [INVALID_ARGUMENT]")[0]) from error
    if program.return_type() != cel.Type.BOOL:
        raise ClauseError(f"a clause must be true or false, this one gives {program.return_type().name()}")
    return Clause(source=source, program=program)


@cache
def _environment() -> Any:  # noqa: ANN401 - the library publishes no types
    return cel.NewEnv(variables={name: _CEL_TYPES[kind] for name, kind in fact_types().items()})
