from typing import ClassVar

from modelnotary.errors import ModelNotaryError


class ReportError(ModelNotaryError):
    """Root of what the reports package raises."""

    code: ClassVar[str] = "report"


class ContentError(ReportError):
    """Report content is not what it must be.

    Attributes:
        pointer: JSON pointer (RFC 6901) of the place, empty for the whole document.
    """

    code: ClassVar[str] = "report-content"

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(f"{message} (at {pointer or 'the top level'})")
        self.pointer = pointer


class PkiError(ReportError):
    """The report certificates or keys on disk cannot be used."""

    code: ClassVar[str] = "report-pki"


class SigningError(ReportError):
    """A report cannot be signed."""

    code: ClassVar[str] = "report-signing"


class DocumentChangedError(ReportError):
    """The stored bytes of a document are not those that were issued."""

    code: ClassVar[str] = "document-changed"
