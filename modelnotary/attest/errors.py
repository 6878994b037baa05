"""What can be wrong with an attestation."""

from modelnotary.errors import ModelNotaryError


class AttestError(ModelNotaryError):
    """Root of the attestations' errors."""

    code = "attestation-error"


class EnvelopeError(AttestError):
    """A DSSE envelope is malformed."""

    code = "envelope-malformed"


class EnvelopeSignatureError(AttestError):
    """A well-formed envelope is not signed as it has to be."""

    code = "envelope-signature-invalid"


class StatementError(AttestError):
    """An in-toto statement, or the decision within it, does not have the agreed shape."""

    code = "statement-malformed"


class ProducerKeyError(AttestError):
    """A public key of a producer of evidence is malformed, or not of a kind that can be relied on."""

    code = "producer-key-invalid"


class PasskeyError(AttestError):
    """What a passkey answered is malformed, or does not sign what it should.

    Attributes:
        fault: which part is wrong, as one short stable word: ``challenge``, ``origin``, ``signature``.
    """

    code = "passkey-invalid"

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault
