"""A slow Merkle tree written straight from the definitions of RFC 6962 §2.1, to judge the fast one by."""

import hashlib


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def root(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), root(leaves[k:])]
    return [*path(m - k, leaves[k:]), root(leaves[:k])]


def proof(m: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF(m, D[n]), that is SUBPROOF(m, D[n], true)."""
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*proof(m, leaves[:k], whole=whole), root(leaves[k:])]
    return [*proof(m - k, leaves[k:], whole=False), root(leaves[:k])]


def subtree_proof(start: int, end: int, leaves: list[bytes], *, known: bool = True) -> list[bytes]:
    """SUBTREE_PROOF(start, end, D[n]) of draft-ietf-plants-merkle-tree-certs."""
    n = len(leaves)
    if (start, end) == (0, n):
        return [] if known else [root(leaves)]
    k = split(n)
    if end <= k:
        return [*subtree_proof(start, end, leaves[:k], known=known), root(leaves[k:])]
    if start >= k:
        return [*subtree_proof(start - k, end - k, leaves[k:], known=known), root(leaves[:k])]
    return [*subtree_proof(0, end - k, leaves[k:], known=False), root(leaves[:k])]
