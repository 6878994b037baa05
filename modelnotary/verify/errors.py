"""Why a verification could not be carried out. What it *finds* is a result, not an error."""

from modelnotary.errors import ModelNotaryError


class VerifyError(ModelNotaryError):
    """Root of the verifier's errors: the request is wrong, the evidence was not judged."""

    code = "verification-impossible"


class TrustError(VerifyError):
    """A trust file cannot be read or is malformed."""

    code = "trust-file-malformed"


class BundleError(VerifyError):
    """An evidence bundle cannot be written or read."""

    code = "bundle-malformed"


class InputError(VerifyError):
    """A path given to the verifier is missing or is nothing it can verify."""

    code = "nothing-to-verify"


class WorkerError(VerifyError):
    """The verification was cut short on this machine; it says nothing about the evidence."""

    code = "verification-cut-short"
