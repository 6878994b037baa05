"""A policy's clauses in another implementation of CEL, written in another language by other people."""

from dataclasses import dataclass, replace
from typing import Any, cast

import cel

from governance.policy.document import PolicyDocument
from governance.policy.engine import Clause, Facts, Truth


@dataclass(frozen=True)
class SecondClause:
    """A clause compiled by the second engine; it is asked as the first one is."""

    source: str
    program: Any

    def evaluate(self, facts: Facts) -> tuple[Truth, str]:
        nested: dict[str, dict[str, Any]] = {}
        for name, value in facts.values.items():
            group, _, field = name.partition(".")
            nested.setdefault(group, {})[field] = value
        try:
            value = self.program.execute(nested)
        except (TypeError, ValueError, KeyError, RuntimeError, ArithmeticError) as error:
            return Truth.ERROR, str(error)
        if not isinstance(value, bool):
            return Truth.ERROR, str(value)
        return (Truth.TRUE if value else Truth.FALSE), ""


def second_opinion(policy: PolicyDocument) -> PolicyDocument:
    """The same policy with its clauses compiled by the second engine."""
    rules = (replace(rule, clause=_second(rule.clause), when=rule.when and _second(rule.when)) for rule in policy.rules)
    return replace(policy, rules=tuple(rules))


def _second(clause: Clause) -> Clause:
    return cast("Clause", SecondClause(clause.source, cel.compile(clause.source)))
