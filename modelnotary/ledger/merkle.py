"""Hashes and proof checks of the RFC 6962 Merkle tree.

The checks are the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2. They raise instead of returning a
boolean, so a caller cannot forget to look at the answer. The length a proof must have follows from the
position and the size alone and is compared first, which bounds the work hostile input can cause.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import ProofError

EMPTY_ROOT = sha256(b"").digest()
MAX_TREE_SIZE = 2**63 - 1
_MAX_PATH = 64
_HASH_LENGTHS = frozenset({HASH_BYTES})


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry as a leaf: SHA-256(0x00 || entry), 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Hash many entries, a quarter faster than one by one."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children: SHA-256(0x01 || left || right), 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def root_from_inclusion_proof(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Compute the root that an inclusion proof leads to (RFC 9162 §2.1.3.2).

    Args:
        index: the position of the leaf, from 0.
        size: the number of leaves in the tree.
        leaf: the 32-byte leaf hash.
        path: the sibling hashes, lowest first.

    Raises:
        ProofError: the position is outside the tree, or the path has the wrong length.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise ProofError(f"there is no entry {index} in a tree of {size}")
    if len(path) != _inclusion_length(index, size):
        raise ProofError(f"an inclusion proof for entry {index} of {size} does not have {len(path)} hashes")
    _require_hashes(leaf, *path)
    position, last, root = index, size - 1, leaf
    for sibling in path:
        if position & 1 or position == last:
            root = sha256(b"\x01" + sibling + root).digest()
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            root = sha256(b"\x01" + root + sibling).digest()
        position >>= 1
        last >>= 1
    return root


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf at ``index`` is in the tree of ``size`` leaves with this root.

    Raises:
        ProofError: it is not, or the proof is malformed.
    """
    _require_hashes(root)
    if root_from_inclusion_proof(index, size, leaf, path) != root:
        raise ProofError(f"the inclusion proof for entry {index} leads to another root than the one stated")


def verify_consistency(old_size: int, new_size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of ``new_size`` begins with the tree of ``old_size`` (RFC 9162 §2.1.4.2).

    A tree of size 0 is refused: every tree begins with it, so a proof about it says nothing.

    Raises:
        ProofError: it does not, or the proof is malformed.
    """
    if not 0 < old_size <= new_size <= MAX_TREE_SIZE:
        raise ProofError(f"no consistency proof leads from a tree of {old_size} to one of {new_size}")
    _require_hashes(old_root, new_root, *path)
    if old_size == new_size:
        if path or old_root != new_root:
            raise ProofError(f"two trees of the same size {old_size} are not the same tree")
        return
    if len(path) != _consistency_length(old_size, new_size):
        raise ProofError(f"a consistency proof from {old_size} to {new_size} does not have {len(path)} hashes")
    if _roots_from_consistency_proof(old_size, new_size, path, old_root) != (old_root, new_root):
        raise ProofError(f"the tree of {new_size} entries does not begin with the tree of {old_size} entries")


def _roots_from_consistency_proof(
    old_size: int, new_size: int, path: Sequence[bytes], old_root: bytes
) -> tuple[bytes, bytes]:
    hashes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return old, new


def is_subtree(start: int, end: int) -> bool:
    """Tell whether the entries ``start`` up to, without, ``end`` have a root of their own in every larger tree.

    They do when ``start`` is a multiple of the smallest power of two that holds them all
    (draft-ietf-plants-merkle-tree-certs, "Definition of a Subtree"). An empty stretch has none here: it says nothing.
    """
    return 0 <= start < end <= MAX_TREE_SIZE and start % (1 << (end - start - 1).bit_length()) == 0


def verify_subtree_inclusion(  # noqa: PLR0917 -- those of `verify_inclusion`, with a stretch for the size
    index: int, start: int, end: int, leaf: bytes, path: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf at ``index`` of the log is in the stretch with this root, which `is_subtree`.

    Raises:
        ProofError: it is not, or the stretch or the proof is malformed.
    """
    if not is_subtree(start, end):
        raise ProofError(f"the entries {start} to {end} have no root of their own")
    verify_inclusion(index - start, end - start, leaf, path, root)


def verify_subtree_consistency(  # noqa: PLR0917 -- those of `verify_consistency`, with a stretch for the old size
    start: int, end: int, size: int, path: Sequence[bytes], part: bytes, root: bytes
) -> None:
    """Check that the tree of ``size`` leaves and this root holds the stretch whose root is ``part``.

    This is how an archived stretch of a log is held against the whole. The method is that of
    draft-ietf-plants-merkle-tree-certs, "Verifying a Subtree Consistency Proof".

    Raises:
        ProofError: it does not, or the stretch or the proof is malformed.
    """
    if not is_subtree(start, end) or not end <= size <= MAX_TREE_SIZE:
        raise ProofError(f"the entries {start} to {end} have no root of their own in a tree of {size}")
    _require_hashes(part, root, *path)
    if len(path) > _MAX_PATH or _roots_from_subtree_proof(start, end, size, path, part) != (part, root):
        raise ProofError(f"the tree of {size} entries does not hold these entries {start} to {end}")


def _roots_from_subtree_proof(
    start: int, end: int, size: int, path: Sequence[bytes], part: bytes
) -> tuple[bytes, bytes] | None:
    first, last, final = start, end - 1, size - 1
    while first != last and (last & 1 or last == final):
        first, last, final = first >> 1, last >> 1, final >> 1
    hashes = [part, *path] if first == last else list(path)
    if not hashes:
        return None
    inner = outer = hashes[0]
    for sibling in hashes[1:]:
        if not final:
            return None
        if last & 1 or last == final:
            inner = node_hash(sibling, inner) if first < last else inner
            outer = node_hash(sibling, outer)
            while not last & 1 and last:
                first, last, final = first >> 1, last >> 1, final >> 1
        else:
            outer = node_hash(outer, sibling)
        first, last, final = first >> 1, last >> 1, final >> 1
    return (inner, outer) if final == 0 else None


def _inclusion_length(index: int, size: int) -> int:
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def _consistency_length(old_size: int, new_size: int) -> int:
    """The path from the old tree's last perfect subtree, and that subtree itself unless it is the whole."""
    shift = (old_size & -old_size).bit_length() - 1
    path = _inclusion_length((old_size - 1) >> shift, ((new_size - 1) >> shift) + 1)
    return path + (old_size & (old_size - 1) != 0)


def _require_hashes(*hashes: bytes) -> None:
    if not _HASH_LENGTHS.issuperset(map(len, hashes)):
        raise ProofError("every hash of a proof must have 32 bytes")
