"""A bundle that is being attacked, and what its auditor has of before."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sample_bundle import LINEAGE, Sample

from modelnotary.verify.bundle_format import log_files

LOG = "logs/lineage"

type Edit = Callable[[list[bytes]], list[bytes]]


@dataclass
class Export:
    """A bundle that is being attacked, and what its auditor has of before.

    ``at`` is an entry in the middle, well before the kept checkpoint.
    """

    sample: Sample
    files: dict[str, bytes]
    kept: bytes
    kept_size: int
    archive_edit: Callable[[bytes], bytes] = field(default=lambda data: data)

    @property
    def size(self) -> int:
        return 6 + self.sample.fill

    @property
    def at(self) -> int:
        return self.size // 3

    def entries(self) -> list[bytes]:
        return list(clean(self.size)[0])

    def flip(self, name: str, position: int) -> None:
        data = self.files[name]
        self.files[name] = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]

    def forge(self, edit: Edit, *kinds: str) -> None:
        """Put other entries in; of what follows from them, recompute only these kinds of files."""
        forged = log_files(LINEAGE, edit(self.entries()), self.files[f"{LOG}/checkpoint"])
        prefixes = tuple(f"{LOG}/{kind}" for kind in kinds)
        for name in [name for name in self.files if name.startswith(prefixes)]:
            del self.files[name]
        self.files |= {name: data for name, data in forged.items() if name.startswith(prefixes)}

    def resign(self, private_key: Ed25519PrivateKey, files: dict[str, bytes]) -> None:
        """Put other files in and sign a manifest that lists them."""
        forged = replace(self.sample, edit_files=lambda genuine: genuine | files, manifest_key=private_key)
        self.files = forged.files()


@cache
def clean(size: int) -> tuple[list[bytes], dict[str, bytes]]:
    """The entries and the files of a clean bundle."""
    genuine = Sample(fill=size - 6)
    return genuine.entries(), genuine.files()
