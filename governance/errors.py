"""What governance refuses, each with a stable code."""

from modelnotary.errors import ModelNotaryError


class GovernanceError(ModelNotaryError):
    """Root of the errors of governance."""

    code = "governance-error"


class UnknownRecordError(GovernanceError):
    """Nothing is registered under that name or id."""

    code = "unknown-record"


class UnknownArtifactError(GovernanceError):
    """No bytes with that digest have been uploaded, or no model version has it."""

    code = "unknown-artifact"


class DigestMismatchError(GovernanceError):
    """The bytes do not have the digest that was declared for them."""

    code = "digest-mismatch"


class RejectedInputError(GovernanceError):
    """The input is well-formed and cannot be accepted; the message says why."""

    code = "validation-failed"


class ConflictError(GovernanceError):
    """The name is taken by something else, or the state does not allow the step."""

    code = "state-conflict"


class SeparationOfDutiesError(GovernanceError):
    """This person may not approve this: they wrote it, asked for it, or can change the rules."""

    code = "separation-of-duties"


class ScopeError(GovernanceError):
    """This covers more than the business units for which this account holds a role."""

    code = "outside-scope"


class HumanRequiredError(GovernanceError):
    """Only a person can do this; a service account or its token cannot."""

    code = "human-required"


class ReauthenticationError(GovernanceError):
    """The signature needs fresh proof of who signs, and it was missing, wrong or used before."""

    code = "reauthentication-required"


class LockedError(ReauthenticationError):
    """There were too many wrong proofs in a row; it takes a while until the next is heard."""

    code = "signing-locked"


class GateDeniedError(GovernanceError):
    """The gate does not allow this artifact in this environment."""

    code = "gate-denied"


class StaleEvidenceError(GovernanceError):
    """The evidence changed since it was shown; look at it again before signing."""

    code = "evidence-changed"


class TokenError(GovernanceError):
    """The token is unknown, wrong, expired or revoked."""

    code = "token-invalid"
