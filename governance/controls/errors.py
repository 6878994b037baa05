"""What can be wrong with a catalogue, with declared facts, and with a question."""

from dataclasses import dataclass

from modelnotary.errors import ModelNotaryError


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it is (`mrm.toml: MRM-dev: effective_to`, `/facts/jurisdictions/0`) and what is wrong there."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ControlsError(ModelNotaryError):
    """Root of the errors of the control catalogue; `faults` lists every fault found."""

    code = "controls-error"

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, faults)))


class CatalogueError(ControlsError):
    """The catalogue's files cannot be used."""

    code = "control-catalogue-invalid"


class DeclarationError(ControlsError):
    """What is declared of a system cannot be used."""

    code = "declaration-invalid"


class CoverageError(ControlsError):
    """The catalogue does not reach back to that day."""

    code = "date-not-covered"
