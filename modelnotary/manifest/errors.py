"""What can be wrong with a manifest, and with what one is wanted of."""

from pathlib import Path

from modelnotary.errors import ModelNotaryError
from modelnotary.manifest.names import shown


class ManifestError(ModelNotaryError):
    """A model or a data set cannot be identified by its content.

    Attributes:
        path: What cannot be read or counted.
    """

    code = "content-not-identifiable"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot take the digest of {shown(str(path))}: {reason}")
        self.path = path


class ManifestFormatError(ModelNotaryError):
    """Bytes are not a manifest, or not in its one spelling."""

    code = "manifest-malformed"
