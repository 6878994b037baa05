"""What is stated of a version beyond what its bytes show."""

from dataclasses import dataclass
from typing import Any

from governance.enums import Deidentification, PhiType
from governance.errors import RejectedInputError
from governance.models import Dataset, Run
from modelnotary.ledger.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a model version comes from, as far as its author says.

    Attributes:
        framework: What trained it, with its version.
        source_uri: Where the bytes came from.
        environment_lock_digest: Of the file that pins the libraries.
        container_digest: Of the image that it was trained in.
        run: The training run that produced it.
    """

    framework: str = ""
    source_uri: str = ""
    environment_lock_digest: Digest | None = None
    container_digest: Digest | None = None
    run: Run | None = None

    def columns(self) -> dict[str, Any]:
        """The columns of the version."""
        return {
            "framework": self.framework,
            "source_uri": self.source_uri,
            "environment_lock_digest": self.environment_lock_digest.text if self.environment_lock_digest else "",
            "container_digest": self.container_digest.text if self.container_digest else "",
            "run": self.run,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What is said of a data set's version that its bytes do not show. None and empty: not stated.

    Attributes:
        classification: Where it differs from the data set's.
        phi_types: The identifiers of 45 CFR 164.514(b)(2)(i) that are in it; an empty list says that none is.
        deidentification: How it was made not individually identifiable.
        legal_basis: On what its use rests.
        collection_method: How it was gathered.
        known_biases: Who is over- or underrepresented, and what else is known to be skewed.
    """

    classification: str = ""
    phi_types: list[PhiType] | None = None
    deidentification: Deidentification | None = None
    legal_basis: str = ""
    collection_method: str = ""
    known_biases: str = ""

    def columns(self) -> dict[str, Any]:
        """The columns of the version."""
        return {
            "classification": self.classification,
            "phi_types": None if self.phi_types is None else sorted({item.value for item in self.phi_types}),
            "deidentification": self.deidentification.value if self.deidentification else "",
            "legal_basis": self.legal_basis,
            "collection_method": self.collection_method,
            "known_biases": self.known_biases,
        }


def handling_require(dataset: Dataset, handling: Handling) -> None:
    """Refuse what contradicts itself or the data set.

    Raises:
        RejectedInputError: It does.
    """
    left = ", ".join(item.value for item in handling.phi_types or ())
    if left and handling.deidentification == Deidentification.SAFE_HARBOR:
        raise RejectedInputError(
            f"/phi_types: safe harbor removes every identifier of 45 CFR 164.514(b)(2)(i); still there: {left}"
        )
    identified = handling.deidentification in (None, Deidentification.NONE)
    if left and identified and not dataset.contains_phi:
        raise RejectedInputError(
            f"/phi_types: {left} without de-identification, but {dataset.slug} is registered as holding no "
            "protected health information; register these data as a data set that does"
        )
