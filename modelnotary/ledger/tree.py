"""Growing a Merkle tree and making its proofs, without holding the tree in memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import TreeError
from modelnotary.ledger.merkle import EMPTY_ROOT, MAX_TREE_SIZE, is_subtree, node_hash

STORED_LEVELS = 8
"""Subtree roots are worth storing every so many levels: one per 256, 65,536, … leaves."""

type NodeReader = Callable[[int, int], bytes]
"""``node(level, index)``: the root of the ``index``-th perfect subtree of ``2**level`` leaves."""

type StoredReader = Callable[[int, int, int], Sequence[bytes]]
"""``stored(level, first, count)``: roots of that many subtrees in a row, of a level that is stored or of leaves."""


@dataclass(frozen=True, slots=True)
class Subtree:
    """The root of a perfect subtree: leaves ``index * 2**level`` up to ``(index + 1) * 2**level``."""

    level: int
    index: int
    hash: bytes


class Frontier:
    """The roots of the perfect subtrees that make up a tree, largest first: all that growing it needs.

    Args:
        size: the number of leaves so far.
        hashes: one 32-byte root for every 1 bit of ``size``, the largest subtree first.

    Raises:
        TreeError: the hashes do not fit the size.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if not 0 <= size <= MAX_TREE_SIZE:
            raise TreeError(f"a tree cannot have {size} leaves")
        if len(hashes) != size.bit_count() or any(len(value) != HASH_BYTES for value in hashes):
            raise TreeError(f"a tree of {size} leaves has {size.bit_count()} frontier hashes of 32 bytes")
        self._size = size
        self._hashes = [bytes(value) for value in hashes]

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def hashes(self) -> list[bytes]:
        """The subtree roots, largest first; with `size`, the inverse of the constructor."""
        return list(self._hashes)

    def append(self, leaf: bytes) -> list[Subtree]:
        """Add one 32-byte leaf hash; see `extend`."""
        return self.extend((leaf,))

    def extend(self, roots: Iterable[bytes], *, level: int = 0) -> list[Subtree]:
        """Add leaf hashes, or roots of perfect subtrees of ``2**level`` leaves, of 32 bytes each, in order.

        Returns:
            The subtrees of 256, 65,536, … leaves completed on the way above that level, which are the ones to store.

        Raises:
            TreeError: the size so far is no multiple of ``2**level``.
        """
        if self._size % (1 << level):
            raise TreeError(f"a subtree of {1 << level} leaves cannot begin at leaf {self._size}")
        completed = []
        hashes, count = self._hashes.copy(), self._size >> level
        for root in roots:
            subtree, position, height = root, count, level
            while position & 1:
                subtree = sha256(b"\x01" + hashes.pop() + subtree).digest()
                position >>= 1
                height += 1
                if height % STORED_LEVELS == 0:
                    completed.append(Subtree(height, position, subtree))
            hashes.append(subtree)
            count += 1
        self._hashes, self._size = hashes, count << level
        return completed

    def root(self) -> bytes:
        """The Merkle tree hash of all leaves so far (RFC 6962 §2.1)."""
        if not self._hashes:
            return EMPTY_ROOT
        *larger, root = self._hashes
        for left in reversed(larger):
            root = node_hash(left, root)
        return root


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash of these 32-byte leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def perfect_root(leaves: Sequence[bytes]) -> bytes:
    """The root over a power of two of leaf hashes; twice as fast as growing a tree.

    Raises:
        TreeError: their number is no power of two.
    """
    if len(leaves).bit_count() != 1:
        raise TreeError(f"{len(leaves)} leaves do not make a perfect tree")
    row = leaves
    while len(row) > 1:
        each = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(each, each, strict=True)]
    return row[0]


def stored_nodes(stored: StoredReader) -> NodeReader:
    """Read the root of any perfect subtree, computed from at most 128 of those stored every `STORED_LEVELS` levels."""

    def node(level: int, index: int) -> bytes:
        height = level % STORED_LEVELS
        return perfect_root(stored(level - height, index << height, 1 << height))

    return node


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Make the inclusion proof of a leaf (RFC 6962 §2.1.1), lowest sibling first.

    Args:
        index: the position of the leaf, from 0.
        size: the size of the tree the proof is for.
        node: reads the roots of perfect subtrees; every one it is asked for lies within ``size``.

    Raises:
        TreeError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise TreeError(f"there is no entry {index} in a tree of {size}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left_width(end - start)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    path.reverse()
    return path


def consistency_path(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """Make the proof that a tree begins with an older one (RFC 6962 §2.1.2), lowest hash first.

    Args:
        old_size: the size of the older tree, at least 1.
        new_size: the size of the tree the proof is for.
        node: reads the roots of perfect subtrees; every one it is asked for lies within ``new_size``.

    Raises:
        TreeError: the older tree is empty or larger than the newer one.
    """
    if not 0 < old_size <= new_size:
        raise TreeError(f"no consistency proof leads from a tree of {old_size} to one of {new_size}")
    return _containment_path(0, old_size, new_size, node)


def subtree_root(start: int, end: int, node: NodeReader) -> bytes:
    """The root over the entries ``start`` up to, without, ``end``: that of a tree of these entries alone.

    Raises:
        TreeError: the stretch is not one that `merkle.is_subtree`.
    """
    _require_subtree(start, end)
    return _range_root(start, end, node)


def subtree_inclusion_path(index: int, start: int, end: int, node: NodeReader) -> list[bytes]:
    """Make the proof that a stretch of the log holds the entry ``index``, lowest sibling first.

    Raises:
        TreeError: the stretch is not one that `merkle.is_subtree`, or does not hold the entry.
    """
    _require_subtree(start, end)
    return inclusion_path(index - start, end - start, lambda level, at: node(level, at + (start >> level)))


def subtree_consistency_path(start: int, end: int, size: int, node: NodeReader) -> list[bytes]:
    """Make the proof that a tree of ``size`` leaves holds a stretch, lowest hash first.

    The method is that of draft-ietf-plants-merkle-tree-certs, "Generating a Subtree Consistency Proof".

    Raises:
        TreeError: the stretch is not one that `merkle.is_subtree`, or ends beyond the tree.
    """
    _require_subtree(start, end)
    if end > size:
        raise TreeError(f"a tree of {size} does not hold the entries up to {end}")
    return _containment_path(start, end, size, node)


def subtrees_between(start: int, end: int) -> list[tuple[int, int]]:
    """The fewest perfect subtrees that make up the entries ``start`` up to, without, ``end``: level and index of each.

    Put together in this order, after the same for 0 up to ``start``, they give the tree of ``end`` entries
    (`Frontier.extend`); so the two lists around a stretch prove that a larger tree holds exactly its entries.
    """
    parts = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        parts.append((level, start >> level))
        start += 1 << level
    return parts


def _containment_path(start: int, end: int, size: int, node: NodeReader) -> list[bytes]:
    path, low, high, is_whole = [], 0, size, True
    while (low, high) != (start, end):
        middle = low + _left_width(high - low)
        if end <= middle:
            path.append(_range_root(middle, high, node))
            high = middle
            continue
        path.append(_range_root(low, middle, node))
        if start < middle:
            # The stretch lies across the middle; from here on the proof is about its right part only.
            start, is_whole = middle, False
        low = middle
    if not is_whole:
        path.append(_range_root(low, high, node))
    path.reverse()
    return path


def _require_subtree(start: int, end: int) -> None:
    if not is_subtree(start, end):
        raise TreeError(f"the entries {start} to {end} have no root of their own")


def _left_width(width: int) -> int:
    """The largest power of two smaller than ``width``."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_root(start: int, end: int, node: NodeReader) -> bytes:
    """The root of leaves ``start`` to ``end``; the tree only splits where ``start`` is aligned for that."""
    width = end - start
    level = width.bit_length() - 1
    left = node(level, start >> level)
    if width == 1 << level:
        return left
    return node_hash(left, _range_root(start + (1 << level), end, node))
