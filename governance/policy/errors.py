"""What can be wrong with a policy, and with any document of that kind."""

from dataclasses import dataclass

from modelnotary.errors import ModelNotaryError


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault in a document.

    Attributes:
        pointer: Where it is, as a JSON pointer: `/rules/0/clause`; empty for the whole document.
        message: What is wrong there.
        line: The line in the document, from 1; 0 when nothing is there to point at.
        column: The column in that line, from 1.
        excerpt: The line with a caret below the column, or nothing.
    """

    pointer: str
    message: str
    line: int = 0
    column: int = 0
    excerpt: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}" if self.line else ""
        where = ", ".join(part for part in (self.pointer, place) if part)
        return f"{where}: {self.message}" if where else self.message


class DocumentError(ModelNotaryError):
    """A document cannot be used; `diagnostics` lists every fault found."""

    code = "document-invalid"

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        super().__init__("; ".join(map(str, diagnostics)))


class PolicyError(DocumentError):
    """A policy document cannot be used."""

    code = "policy-invalid"


class RecordedContextError(ModelNotaryError):
    """The facts stored with a decision cannot be read."""

    code = "context-unreadable"
