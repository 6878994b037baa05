"""The Merkle tree: our fast code against a slow reference, against public vectors, and under attack."""

from collections.abc import Callable, Iterator
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
    MAX_TREE_SIZE,
    leaf_hash,
    node_hash,
    root_from_inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from modelnotary.ledger.tree import Frontier, Subtree, consistency_path, inclusion_path, perfect_root, tree_root

LEAVES = [leaf_hash(f"entry {number}".encode()) for number in range(600)]
sizes = st.integers(1, 300)


def node_of(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    """A store of perfect subtrees that refuses to read past the tree."""

    def node(level: int, index: int) -> bytes:
        start, end = index << level, (index + 1) << level
        assert end <= len(leaves), "a proof may only read complete subtrees within the tree"
        return reference.root(leaves[start:end])

    return node


def test_the_empty_tree_and_the_empty_leaf_have_different_hashes() -> None:
    assert tree_root([]) == EMPTY_ROOT
    assert leaf_hash(b"") != EMPTY_ROOT


@given(sizes)
def test_a_grown_tree_has_the_root_of_the_definition(size: int) -> None:
    assert tree_root(LEAVES[:size]) == reference.root(LEAVES[:size])


@pytest.mark.parametrize("level", range(9))
def test_a_perfect_tree_and_a_tree_grown_by_subtrees_have_the_root_of_the_definition(level: int) -> None:
    width = 1 << level
    whole = LEAVES[: len(LEAVES) // width * width]
    roots = [perfect_root(whole[start : start + width]) for start in range(0, len(whole), width)]
    assert roots == [reference.root(whole[start : start + width]) for start in range(0, len(whole), width)]
    frontier = Frontier()
    completed = frontier.extend(roots, level=level)
    assert (frontier.size, frontier.root()) == (len(whole), reference.root(whole))
    assert [subtree.level for subtree in completed] == [8] * (len(whole) // 256 if level < 8 else 0)


@pytest.mark.parametrize("count", [0, 3, 255])
def test_leaves_that_are_no_power_of_two_are_no_perfect_tree(count: int) -> None:
    with pytest.raises(TreeError):
        perfect_root(LEAVES[:count])


def test_a_subtree_cannot_begin_within_another() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:3])
    with pytest.raises(TreeError):
        frontier.extend([bytes(32)], level=1)
    assert frontier.root() == reference.root(LEAVES[:3])


def test_a_failing_source_leaves_the_tree_as_it_was() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:3])
    with pytest.raises(ConnectionError):
        frontier.extend(broken_off(LEAVES[3:7]))
    assert (frontier.size, frontier.root()) == (3, reference.root(LEAVES[:3]))


def broken_off(leaves: list[bytes]) -> Iterator[bytes]:
    yield from leaves
    raise ConnectionError


@given(st.lists(st.integers(0, 90), max_size=5))
def test_a_frontier_stored_between_batches_grows_the_same_tree(batches: list[int]) -> None:
    frontier, total = Frontier(), 0
    for batch in batches:
        frontier = Frontier(frontier.size, frontier.hashes)
        frontier.extend(LEAVES[total : total + batch])
        total += batch
    assert (frontier.size, frontier.root()) == (total, reference.root(LEAVES[:total]))


def test_growing_reports_each_completed_subtree_of_256_leaves_once() -> None:
    frontier = Frontier()
    completed = frontier.extend(LEAVES[:300])
    for leaf in LEAVES[300:600]:
        completed += frontier.append(leaf)
    assert completed == [
        Subtree(8, 0, reference.root(LEAVES[:256])),
        Subtree(8, 1, reference.root(LEAVES[256:512])),
    ]


def test_a_subtree_of_65536_leaves_is_reported_at_level_16() -> None:
    frontier = Frontier(65535, [bytes([n]) * 32 for n in range(16)])
    levels = [(subtree.level, subtree.index) for subtree in frontier.append(LEAVES[0])]
    assert levels == [(8, 255), (16, 0)]
    assert frontier.hashes == [frontier.root()]


@pytest.mark.parametrize(
    ("size", "hashes"),
    [
        (-1, []),
        (1, []),
        (3, [bytes(32)]),
        (1, [bytes(31)]),
        (0, [bytes(32)]),
        (MAX_TREE_SIZE + 1, [bytes(32)]),
    ],
)
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(TreeError):
        Frontier(size, hashes)


@given(st.data(), sizes)
def test_inclusion_proofs_are_those_of_the_definition_and_verify(data: st.DataObject, size: int) -> None:
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, node_of(leaves))
    assert path == reference.path(index, leaves)
    assert root_from_inclusion_proof(index, size, leaves[index], path) == reference.root(leaves)
    verify_inclusion(index, size, leaves[index], path, reference.root(leaves))


@given(st.data(), sizes)
def test_consistency_proofs_are_those_of_the_definition_and_verify(data: st.DataObject, size: int) -> None:
    leaves = LEAVES[:size]
    old = data.draw(st.integers(1, size))
    path = consistency_path(old, size, node_of(leaves))
    assert path == reference.proof(old, leaves)
    verify_consistency(old, size, path, reference.root(leaves[:old]), reference.root(leaves))


def test_every_consistency_proof_up_to_70_entries_verifies() -> None:
    roots = [reference.root(LEAVES[:size]) for size in range(71)]
    for size in range(1, 71):
        for old in range(1, size + 1):
            verify_consistency(old, size, reference.proof(old, LEAVES[:size]), roots[old], roots[size])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_an_entry_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(TreeError):
        inclusion_path(index, size, node_of(LEAVES))


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_there_is_no_consistency_proof_from_an_empty_or_larger_tree(old: int, new: int) -> None:
    with pytest.raises(TreeError):
        consistency_path(old, new, node_of(LEAVES))


type Proof = dict[str, Any]

ATTACKS: dict[str, Callable[[Proof], Proof]] = {
    "a changed hash": lambda p: p | {"path": [flip(p["path"][0]), *p["path"][1:]]},
    "a missing hash": lambda p: p | {"path": p["path"][:-1]},
    "a hash too many": lambda p: p | {"path": [*p["path"], bytes(32)]},
    "a repeated hash": lambda p: p | {"path": [p["path"][0], *p["path"]]},
    "the hashes reversed": lambda p: p | {"path": p["path"][::-1]},
    "a short hash": lambda p: p | {"path": [p["path"][0][:-1], *p["path"][1:]]},
    "ten thousand hashes": lambda p: p | {"path": p["path"] * 2000},
    "no hashes": lambda p: p | {"path": []},
    "another new root": lambda p: p | {"root": flip(p["root"])},
    "a short new root": lambda p: p | {"root": p["root"][:31]},
    # A neighbouring size can have a proof of the same shape; only the signed checkpoint binds size to root.
    "twice the size": lambda p: p | {"size": p["size"] * 2},
    "half the size": lambda p: p | {"size": p["size"] // 2},
    "a size of zero": lambda p: p | {"size": 0},
    "a negative size": lambda p: p | {"size": -p["size"]},
    "a size beyond 63 bits": lambda p: p | {"size": 2**64},
    "a position one higher": lambda p: p | {"position": p["position"] + 1},
    "a position one lower": lambda p: p | {"position": p["position"] - 1},
    "a negative position": lambda p: p | {"position": -1},
    "a position past the end": lambda p: p | {"position": p["size"] + 1},
    "another leaf or old root": lambda p: p | {"known": flip(p["known"])},
    "a long leaf or old root": lambda p: p | {"known": p["known"] + b"\x00"},
}


def flip(value: bytes) -> bytes:
    return bytes([value[0] ^ 0x10]) + value[1:]


def inclusion_of(position: int, size: int) -> Proof:
    leaves = LEAVES[:size]
    return {
        "position": position,
        "size": size,
        "known": leaves[position],
        "path": reference.path(position, leaves),
        "root": reference.root(leaves),
    }


def consistency_of(position: int, size: int) -> Proof:
    leaves = LEAVES[:size]
    return {
        "position": position,
        "size": size,
        "known": reference.root(leaves[:position]),
        "path": reference.proof(position, leaves),
        "root": reference.root(leaves),
    }


def check_inclusion(p: Proof) -> None:
    verify_inclusion(p["position"], p["size"], p["known"], p["path"], p["root"])


def check_consistency(p: Proof) -> None:
    verify_consistency(p["position"], p["size"], p["path"], p["known"], p["root"])


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("position", "size"), [(0, 13), (5, 13), (11, 13), (12, 13), (7, 16)])
def test_a_tampered_inclusion_proof_is_refused(attack: str, position: int, size: int) -> None:
    proof = inclusion_of(position, size)
    check_inclusion(proof)
    tampered = ATTACKS[attack](proof)
    assert tampered != proof
    with pytest.raises(ProofError):
        check_inclusion(tampered)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("position", "size"), [(1, 13), (5, 13), (9, 13), (7, 16)])
def test_a_tampered_consistency_proof_is_refused(attack: str, position: int, size: int) -> None:
    proof = consistency_of(position, size)
    check_consistency(proof)
    tampered = ATTACKS[attack](proof)
    assert tampered != proof
    with pytest.raises(ProofError):
        check_consistency(tampered)


def test_nothing_is_consistent_with_an_empty_tree_by_proof() -> None:
    with pytest.raises(ProofError):
        verify_consistency(0, 5, [], EMPTY_ROOT, reference.root(LEAVES[:5]))


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    root = reference.root(LEAVES[:5])
    verify_consistency(5, 5, [], root, root)
    for path, other in (([root], root), ([], flip(root))):
        with pytest.raises(ProofError):
            verify_consistency(5, 5, path, root, other)


@vectors.needs_vectors
def test_the_public_hash_constants_hold() -> None:
    tree = vectors.load("rfc6962_tree.json")
    for case in tree["hasher"]:
        if "leaf_hex" in case:
            assert leaf_hash(bytes.fromhex(case["leaf_hex"])).hex() == case["leaf_hash_hex"]
        if "left_hex" in case:
            left, right = bytes.fromhex(case["left_hex"]), bytes.fromhex(case["right_hex"])
            assert node_hash(left, right).hex() == case["node_hash_hex"]
    leaves = [leaf_hash(bytes.fromhex(text)) for text in tree["leaf_inputs_hex"]]
    assert [tree_root(leaves[:size]).hex() for size in range(9)] == tree["root_hex_by_size"]
    for level, row in enumerate(tree["node_hex_by_level"]):
        for index, expected in enumerate(row):
            assert tree_root(leaves[index << level : (index + 1) << level]).hex() == expected


@pytest.mark.parametrize("case", vectors.load("rfc6962_inclusion.json").get("vectors", []), ids=lambda c: c["_path"])
def test_public_inclusion_vectors(case: Any) -> None:
    proof = {
        "position": case["leafIdx"],
        "size": case["treeSize"],
        "known": vectors.unbase64(case["leafHash"]),
        "path": [vectors.unbase64(text) for text in case["proof"] or []],
        "root": vectors.unbase64(case["root"]),
    }
    assert refused(check_inclusion, proof) == case["wantErr"]


@pytest.mark.parametrize("case", vectors.load("rfc6962_consistency.json").get("vectors", []), ids=lambda c: c["_path"])
def test_public_consistency_vectors(case: Any) -> None:
    proof = {
        "position": case["size1"],
        "size": case["size2"],
        "known": vectors.unbase64(case["root1"]),
        "path": [vectors.unbase64(text) for text in case["proof"] or []],
        "root": vectors.unbase64(case["root2"]),
    }
    # One vector "proves" two equal roots that are no SHA-256 hashes; we refuse those beyond the RFC.
    impossible = len(proof["root"]) != HASH_BYTES
    assert refused(check_consistency, proof) == (case["wantErr"] or impossible)


def refused(check: Callable[[Proof], None], proof: Proof) -> bool:
    try:
        check(proof)
    except ProofError:
        return True
    return False
