"""What can be wrong with evidence and with the registry of its types."""

from dataclasses import dataclass

from governance.errors import RejectedInputError
from modelnotary.errors import ModelNotaryError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a deposit: the JSON pointer of its place, and what is wrong there."""

    pointer: str
    message: str


class EvidenceRefusedError(RejectedInputError):
    """A deposit cannot be accepted; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.pointer}: {fault.message}" for fault in faults))


class RegistryError(ModelNotaryError):
    """The files of the registry of evidence types were damaged."""

    code = "evidence-registry-damaged"
