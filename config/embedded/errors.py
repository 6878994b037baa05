"""What can go wrong with the embedded services."""

from pathlib import Path
from typing import ClassVar

from modelnotary.errors import ModelNotaryError


class EmbeddedError(ModelNotaryError):
    """The embedded services cannot do what was asked."""

    code: ClassVar[str] = "embedded-failed"


class RootRefusedError(EmbeddedError):
    """PostgreSQL must not be root, and this system permits no way for root to run it as someone else."""

    code = "embedded-root-refused"


class InstallationDamagedError(EmbeddedError):
    """The kept secrets cannot be read, or do not belong to the kept data."""

    code = "embedded-installation-damaged"


class StartFailedError(EmbeddedError):
    """A service or a process did not come up.

    Attributes:
        name: Which one.
        log: File that holds its whole output.
    """

    code = "embedded-start-failed"

    def __init__(self, name: str, log: Path, reason: str) -> None:
        self.name = name
        self.log = log
        super().__init__(f"{name} did not start: {reason}\nLast lines of {log}:\n{_tail(log)}")


def _tail(log: Path, lines: int = 15) -> str:
    if not log.exists():
        return "  (empty)"
    text = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


class CopyFailedError(EmbeddedError):
    """A database could not be copied."""

    code = "embedded-copy-failed"

    def __init__(self, program: str, reason: str) -> None:
        super().__init__(f"{program} could not copy the database: {reason}")
