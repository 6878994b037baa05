"""Closed vocabularies of the catalogue. A released value is never renamed."""

from enum import StrEnum


class Force(StrEnum):
    """What stands behind a control."""

    LAW = "law"
    STANDARD = "standard"  # binding by contract, as PCI DSS is
    GUIDANCE = "guidance"
    VOLUNTARY = "voluntary"
    CERTIFIABLE = "certifiable"
    PROPOSAL = "proposal"
    CONTEXT = "context"  # asks for nothing itself


class Status(StrEnum):
    """How a control stands on a day."""

    IN_FORCE = "in_force"
    FUTURE = "future"
    UNPUBLISHED = "unpublished"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    PROPOSED = "proposed"
    CONTEXT = "context"


class Trust(StrEnum):
    """How far a row's source can be trusted; the weakest of its sources counts."""

    PRIMARY = "P"
    SECONDARY = "S"
    MEMORY = "M"

    @property
    def words(self) -> str:
        """The mark in words."""
        return _TRUST_WORDS[self]


_TRUST_WORDS = {
    Trust.PRIMARY: "primary text",
    Trust.SECONDARY: "secondary source",
    Trust.MEMORY: "from memory, to be checked",
}


class About(StrEnum):
    """What a kind of evidence is bound to."""

    MODEL_VERSION = "model_version"
    SYSTEM = "system"
    ORGANIZATION = "organization"


class Result(StrEnum):
    """What a piece of evidence says."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INSUFFICIENT_DATA = "insufficient_data"
    NOT_APPLICABLE = "not_applicable"


class Outcome(StrEnum):
    """What became of a control."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    INSUFFICIENT_DATA = "insufficient_data"
    EVIDENCE_MISSING = "evidence_missing"
