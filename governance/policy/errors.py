"""What can be wrong with a policy."""

from dataclasses import dataclass

from modelnotary.errors import ModelNotaryError


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault in a policy document: where it is (`/rules/0/clause`) and what is wrong there."""

    pointer: str
    message: str


class PolicyError(ModelNotaryError):
    """A policy document cannot be used; `diagnostics` lists every fault found."""

    code = "policy-invalid"

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        super().__init__("; ".join(f"{item.pointer}: {item.message}" for item in diagnostics))


class RecordedContextError(ModelNotaryError):
    """The facts stored with a decision cannot be read."""

    code = "context-unreadable"
