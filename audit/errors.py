"""What can go wrong in the ledger."""

from audit.enums import Refusal
from modelnotary.errors import ModelNotaryError


class AuditError(ModelNotaryError):
    """Root of the ledger's errors."""

    code = "audit-error"


class NoTransactionError(AuditError):
    """An event was recorded outside a transaction, so it could commit without the change it tells of."""

    code = "no-transaction"


class UnknownEntryError(AuditError):
    """No such entry, log, or checkpoint."""

    code = "unknown-entry"


class PrunedError(UnknownEntryError):
    """What was asked for was archived and dropped when its time had run out; an entry `log.pruned` tells of it."""

    code = "pruned"


class LogFrozenError(AuditError):
    """The log of this kind of event takes nothing any more; an operator has to open its successor."""

    code = "log_frozen"


class NotSequencedError(AuditError):
    """The event is committed and waits for its place in the log; ask again in a moment."""

    code = "not-sequenced"


class CorruptLogError(AuditError):
    """The stored tree does not give the stored root; the log must not be extended."""

    code = "corrupt-log"


class SigningRefusedError(AuditError):
    """The signer will not sign this head: it contradicts what it signed before.

    Attributes:
        kind: Why, for a machine: whether the log itself contradicts what was signed, or something else is amiss.
    """

    code = "signing-refused"

    def __init__(self, message: str, *, kind: Refusal) -> None:
        super().__init__(message)
        self.kind = kind


class KeyUnavailableError(AuditError):
    """A private key cannot be used now: its file, token or PIN is missing or wrong. Nothing is wrong with the log."""

    code = "key-unavailable"


class KeyRotationPendingError(AuditError):
    """A log's rotation to a new key is recorded and not signed yet; the same command goes on."""

    code = "key-rotation-pending"


class SignerNotReadyError(AuditError):
    """The signer cannot sign now: its clock cannot be relied on, or another signer holds its memory."""

    code = "signer-not-ready"


class AnchorAddressError(AuditError):
    """An address in ANCHORS is not one of an anchor."""

    code = "anchor-address-invalid"


class AnchorError(AuditError):
    """A checkpoint could not be published, or what lies outside contradicts it."""

    code = "anchor-failed"


class AnchorContradictionError(AnchorError):
    """What lies outside is another tree than the one that is shown: one of the two is forged."""

    code = "anchor-contradicts"


class RestoreError(AuditError):
    """A successor cannot be opened: no log is frozen, an approval is missing, or what was signed cannot be found."""

    code = "restore-refused"


class ExportError(AuditError):
    """A log cannot be exported into this folder."""

    code = "export-failed"


class ArchiveError(AuditError):
    """An archive cannot be written, does not verify, or cannot be followed by dropping what it holds."""

    code = "archive-failed"


class RetentionError(AuditError):
    """A retention schedule is not acceptable, or entries have to be kept: by a schedule, a hold, or for want of one."""

    code = "retention"


class SubjectKeysError(AuditError):
    """The file with the keys that wrap persons' keys is missing, not private, malformed, or in use."""

    code = "subject-keys-unusable"


class ErasedError(AuditError):
    """The key that this was sealed under does not exist any more, or never did."""

    code = "erased"


class LegalHoldError(AuditError):
    """A legal hold forbids it, or the step does not fit the hold's state."""

    code = "legal-hold"


class ErasureError(AuditError):
    """The erasure is not in a state for this step, or is not ordered as it has to be."""

    code = "erasure-refused"
