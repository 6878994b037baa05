"""The hash chain beside the tree: it finds the first bad entry. It is never accepted as a proof.

``link_i = SHA-256(0x02 || SHA-256(origin) || u64 i || link_(i-1) || leaf_i)``, where ``leaf_i`` is the
32-byte leaf hash and ``link_(-1)`` is 32 zero bytes. Binding origin and position means that a stretch of
one log cannot be passed off as a stretch of another, nor moved within its own.
"""

import hashlib
import struct
from collections.abc import Iterable
from hashlib import sha256

from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import TreeError

CHAIN_START = bytes(HASH_BYTES)
_LINK = struct.Struct(">33sQ32s32s")


class Chain:
    """A hash chain that can be continued.

    Args:
        origin: the log's origin, as in its checkpoints.
        size: the number of links so far.
        head: the last link, 32 bytes; `CHAIN_START` while there is none.

    Raises:
        TreeError: the head does not have 32 bytes.
    """

    __slots__ = ("_prefix", "head", "size")

    def __init__(self, origin: str, size: int = 0, head: bytes = CHAIN_START) -> None:
        if len(head) != HASH_BYTES:
            raise TreeError(f"a chain head has 32 bytes, not {len(head)}")
        self._prefix = b"\x02" + hashlib.sha256(origin.encode()).digest()
        self.size = size
        self.head = bytes(head)

    def extend(self, leaves: Iterable[bytes]) -> list[bytes]:
        """Add 32-byte leaf hashes in order; return the new link of each."""
        prefix, head, pack = self._prefix, self.head, _LINK.pack
        links = [
            head := sha256(pack(prefix, index, head, leaf)).digest() for index, leaf in enumerate(leaves, self.size)
        ]
        self.size, self.head = self.size + len(links), head
        return links
