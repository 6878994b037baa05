"""Stretches of a log: their proofs against a slow reference, against public vectors, and under attack."""

import hashlib
from collections.abc import Iterable
from functools import cache
from itertools import combinations
from typing import Any

import public_vectors as vectors
import pytest
import reference_tree as reference
from hypothesis import given
from hypothesis import strategies as st

from modelnotary.ledger.digest import HASH_BYTES
from modelnotary.ledger.errors import ProofError, TreeError
from modelnotary.ledger.merkle import (
    EMPTY_ROOT,
    is_subtree,
    leaf_hash,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)
from modelnotary.ledger.tree import subtree_consistency_path, subtree_inclusion_path, subtree_root

SIZE = 130
LEAVES = [leaf_hash(bytes([number])) for number in range(SIZE)]
STRETCHES = [(start, end) for start, end in combinations(range(SIZE + 1), 2) if is_subtree(start, end)]


@cache
def node(level: int, index: int) -> bytes:
    """The root of a perfect subtree, read from the leaves."""
    return reference.root(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 1, True),
        (0, 7, True),
        (4, 6, True),
        (8, 13, True),
        (8, 16, True),
        (5, 6, True),
        (4, 9, False),
        (2, 6, False),
        (1, 3, False),
        (3, 3, False),
        (0, 0, False),
        (6, 4, False),
        (-1, 0, False),
        (0, 2**63, False),
    ],
)
def test_a_stretch_has_a_root_of_its_own_when_it_is_aligned(start: int, end: int, expected: bool) -> None:
    assert is_subtree(start, end) is expected


@given(st.data(), st.sampled_from(STRETCHES))
def test_proofs_about_stretches_are_those_of_the_definition_and_verify(
    data: st.DataObject, stretch: tuple[int, int]
) -> None:
    start, end = stretch
    size = data.draw(st.integers(end, SIZE))
    index = data.draw(st.integers(start, end - 1))
    part, root = subtree_root(start, end, node), reference.root(LEAVES[:size])
    assert part == reference.root(LEAVES[start:end])
    proof = subtree_consistency_path(start, end, size, node)
    assert proof == reference.subtree_proof(start, end, LEAVES[:size])
    verify_subtree_consistency(start, end, size, proof, part, root)
    path = subtree_inclusion_path(index, start, end, node)
    assert path == reference.path(index - start, LEAVES[start:end])
    verify_subtree_inclusion(index, start, end, LEAVES[index], path, part)


@given(st.data(), st.sampled_from(STRETCHES))
def test_a_proof_of_a_stretch_proves_no_other_stretch(data: st.DataObject, stretch: tuple[int, int]) -> None:
    start, end = stretch
    size = data.draw(st.integers(end, SIZE))
    root = reference.root(LEAVES[:size])
    proof = subtree_consistency_path(start, end, size, node)
    other = reference.root([leaf_hash(b"another"), *LEAVES[start + 1 : end]])
    attacks = [
        (start, end, size, proof, other, root),
        (start, end, size, [*proof, bytes(32)], node(0, 0), root),
        (start, end, size, [bytes(32), *proof], node(0, 0), root),
        (start, end, size, [bytes(32)] * 100, node(0, 0), root),
    ]
    if proof:
        attacks.append((start, end, size, proof[:-1], reference.root(LEAVES[start:end]), root))
        attacks.append((start, end, size, [bytes(32), *proof[1:]], reference.root(LEAVES[start:end]), root))
    for attack in attacks:
        with pytest.raises(ProofError):
            verify_subtree_consistency(*attack)


@pytest.mark.parametrize(("start", "end", "size"), [(2, 6, 8), (3, 3, 8), (0, 9, 8)])
def test_there_are_no_proofs_about_stretches_without_a_root(start: int, end: int, size: int) -> None:
    with pytest.raises(TreeError):
        subtree_consistency_path(start, end, size, node)
    with pytest.raises(ProofError):
        verify_subtree_consistency(start, end, size, [], bytes(32), bytes(32))
    if not is_subtree(start, end):
        with pytest.raises(TreeError):
            subtree_root(start, end, node)
        with pytest.raises(TreeError):
            subtree_inclusion_path(start, start, end, node)


def rolling(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def ordered(*, empty: bool = False) -> list[tuple[int, int]]:
    """All stretches in the order of the public digests, which count empty ones too where we do not."""
    stretches = [*STRETCHES, *((size, size) for size in range(SIZE + 1) if empty)]
    return sorted(stretches, key=lambda stretch: (stretch[1], stretch[0]))


def line(head: str, hashes: list[bytes]) -> str:
    return " ".join([head, *(value.hex() for value in hashes)]) + "\n"


@vectors.needs_vectors
def test_the_public_digests_over_all_stretches_up_to_130_entries() -> None:
    expected = vectors.load("rfc6962_tree.json")["rolling_sha256"]
    roots = {(start, end): subtree_root(start, end, node) for start, end in STRETCHES}
    stretches = ordered(empty=True)
    hashes = (line(f"[{start}, {end})", [roots.get((start, end), EMPTY_ROOT)]) for start, end in stretches)
    assert rolling(hashes) == expected["subtree_hash"]
    proofs = (
        line(f"[{start}, {end}) {size}", [] if start == end else subtree_consistency_path(start, end, size, node))
        for size in range(SIZE + 1)
        for start, end in stretches
        if end <= size
    )
    assert rolling(proofs) == expected["subtree_consistency"]


@vectors.needs_vectors
def test_the_public_digest_over_all_inclusion_proofs_up_to_130_entries() -> None:
    expected = vectors.load("rfc6962_tree.json")["rolling_sha256"]
    proofs = (
        line(f"{index} [{start}, {end})", subtree_inclusion_path(index, start, end, node))
        for start, end in ordered()
        for index in range(start, end)
    )
    assert rolling(proofs) == expected["subtree_inclusion"]


@pytest.mark.parametrize(
    "case", vectors.load("rfc6962_subtreeinclusion.json").get("vectors", []), ids=lambda c: c["_path"]
)
def test_public_subtree_inclusion_vectors(case: Any) -> None:
    path = [vectors.unbase64(text) for text in case["proof"] or []]
    leaf, root = vectors.unbase64(case["leafHash"]), vectors.unbase64(case["root"])
    if case["wantErr"]:
        with pytest.raises(ProofError):
            verify_subtree_inclusion(case["leafIdx"], case["start"], case["end"], leaf, path, root)
    else:
        verify_subtree_inclusion(case["leafIdx"], case["start"], case["end"], leaf, path, root)


@pytest.mark.parametrize(
    "case", vectors.load("rfc6962_subtreeconsistency.json").get("vectors", []), ids=lambda c: c["_path"]
)
def test_public_subtree_consistency_vectors(case: Any) -> None:
    path = [vectors.unbase64(text) for text in case["proof"] or []]
    part, root = vectors.unbase64(case["root1"]), vectors.unbase64(case["root2"])
    # Empty stretches and roots that are no SHA-256 hashes are refused here beyond the draft.
    beyond = case["start"] == case["end"] or len(root) != HASH_BYTES
    if case["wantErr"] or beyond:
        with pytest.raises(ProofError):
            verify_subtree_consistency(case["start"], case["end"], case["size"], path, part, root)
    else:
        verify_subtree_consistency(case["start"], case["end"], case["size"], path, part, root)
