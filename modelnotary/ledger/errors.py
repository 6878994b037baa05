"""What can be wrong with a piece of the ledger."""

from modelnotary.errors import ModelNotaryError


class LedgerError(ModelNotaryError):
    """Root of the ledger's errors."""

    code = "ledger-error"


class CanonicalError(LedgerError):
    """Bytes are not RFC 8785 canonical JSON, or a value has no canonical form."""

    code = "not-canonical-json"


class DigestError(LedgerError):
    """A digest is not ``sha256:`` and 64 lowercase hexadecimal digits."""

    code = "digest-malformed"


class TreeError(LedgerError):
    """A position, a size or a list of stored hashes does not describe a tree."""

    code = "tree-position-invalid"


class ProofError(LedgerError):
    """A Merkle proof, or a file holding one, does not prove what it claims."""

    code = "proof-invalid"


class NoteError(LedgerError):
    """A signed note or a key for one is malformed."""

    code = "note-malformed"


class NoteSignatureError(NoteError):
    """A well-formed note is not signed as it has to be."""

    code = "note-signature-invalid"


class CheckpointError(LedgerError):
    """A checkpoint text is malformed or speaks for another log."""

    code = "checkpoint-malformed"


class TileError(LedgerError):
    """A tile path or an entry bundle is malformed."""

    code = "tile-malformed"


class KeyFileError(LedgerError):
    """A private key file is missing, readable by others, or no Ed25519 key."""

    code = "key-file-unusable"


class KeyRotationError(LedgerError):
    """A log's keys do not fit together, or an entry hands a log over to another key without the right to."""

    code = "key-rotation-invalid"


class EventError(LedgerError):
    """A ledger event does not have the agreed shape."""

    code = "event-malformed"


class IncarnationError(LedgerError):
    """What a log says of the one that it follows is malformed, or contradicts itself."""

    code = "incarnation-malformed"


class ChainHeadError(LedgerError):
    """An entry that tells the hash chain is malformed."""

    code = "chain-head-malformed"


class DisclosureError(LedgerError):
    """A file that opens commitments of entries is malformed."""

    code = "disclosure-malformed"


class TextError(LedgerError):
    """A base64 string or a number is not in its one accepted spelling."""

    code = "text-malformed"


class WitnessMessageError(LedgerError):
    """What a log asks a witness, or what a witness answers, is malformed."""

    code = "witness-message-malformed"


class WitnessPolicyError(LedgerError):
    """A policy that says which witnesses must have signed is malformed."""

    code = "witness-policy-malformed"


class QuorumError(LedgerError):
    """A checkpoint is not signed by a log of the policy, or not by enough of its witnesses."""

    code = "quorum-not-reached"
