"""Proofs made by a slow reference, at least as many of each kind as the public vector files have, right and wrong ones.

They need no file of anybody else's; what makes a proof wrong is a table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import public_vectors as vectors
import pytest
import reference_tree as reference

from modelnotary.ledger.errors import ProofError
from modelnotary.ledger.merkle import (
    is_subtree,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)

LEAVES = [leaf_hash(b"vector %d" % number) for number in range(33)]
SIZES = (1, 2, 3, 7, 8, 13, 16, 21, 32, 33)
STRETCHES = [
    (start, end) for start, end in product(range(33), range(34)) if start < end <= 33 and is_subtree(start, end)
][::3]


@dataclass(frozen=True)
class Vector:
    """A proof as numbers and hashes: what is known and what is to be shown, with the way from one to the other."""

    numbers: tuple[int, ...]
    known: bytes
    path: tuple[bytes, ...]
    root: bytes


def inclusions() -> Iterator[Vector]:
    for size in SIZES:
        leaves = LEAVES[:size]
        for index in range(size):
            yield Vector((index, size), leaves[index], tuple(reference.path(index, leaves)), reference.root(leaves))


def consistencies() -> Iterator[Vector]:
    for size in SIZES:
        leaves = LEAVES[:size]
        for old in range(1, size + 1):
            path = tuple(reference.proof(old, leaves))
            yield Vector((old, size), reference.root(leaves[:old]), path, reference.root(leaves))


def subtree_inclusions() -> Iterator[Vector]:
    for start, end in STRETCHES:
        leaves = LEAVES[start:end]
        for index in range(start, end):
            path = tuple(reference.path(index - start, leaves))
            yield Vector((index, start, end), LEAVES[index], path, reference.root(leaves))


def subtree_consistencies() -> Iterator[Vector]:
    for (start, end), size in product(STRETCHES, SIZES):
        if end <= size:
            path = tuple(reference.subtree_proof(start, end, LEAVES[:size]))
            part, root = reference.root(LEAVES[start:end]), reference.root(LEAVES[:size])
            yield Vector((start, end, size), part, path, root)


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


# What makes any proof wrong, whatever its numbers; what changes the numbers can leave another right proof.
WRONG: dict[str, Callable[[Vector], Vector]] = {
    "another hash known": lambda v: replace(v, known=flipped(v.known)),
    "another root": lambda v: replace(v, root=flipped(v.root)),
    "a hash too many": lambda v: replace(v, path=(*v.path, bytes(32))),
    "a hash too many in front": lambda v: replace(v, path=(bytes(32), *v.path)),
    "the last hash gone": lambda v: replace(v, path=v.path[:-1]),
    "the first hash gone": lambda v: replace(v, path=v.path[1:]),
    "another first hash": lambda v: replace(v, path=tuple(map(flipped, v.path[:1])) + v.path[1:]),
    "another last hash": lambda v: replace(v, path=v.path[:-1] + tuple(map(flipped, v.path[-1:]))),
    "a short hash": lambda v: replace(v, path=tuple(value[:-1] for value in v.path)),
    "a short root": lambda v: replace(v, root=v.root[:-1]),
    "64 hashes more": lambda v: replace(v, path=v.path + (bytes(32),) * 64),
    "negative numbers": lambda v: replace(v, numbers=tuple(-number - 1 for number in v.numbers)),
    "numbers beyond 63 bits": lambda v: replace(v, numbers=tuple(number + 2**63 for number in v.numbers)),
}


@dataclass(frozen=True)
class Kind:
    """A kind of proof: right ones, the check, and how many right and wrong ones the public file has."""

    right: Callable[[], Iterator[Vector]]
    check: Callable[[Vector], None]
    public: tuple[int, int]


def check_inclusion(v: Vector) -> None:
    index, size = v.numbers
    verify_inclusion(index, size, v.known, v.path, v.root)


def check_consistency(v: Vector) -> None:
    old, size = v.numbers
    verify_consistency(old, size, v.path, v.known, v.root)


def check_subtree_inclusion(v: Vector) -> None:
    index, start, end = v.numbers
    verify_subtree_inclusion(index, start, end, v.known, v.path, v.root)


def check_subtree_consistency(v: Vector) -> None:
    start, end, size = v.numbers
    verify_subtree_consistency(start, end, size, v.path, v.known, v.root)


KINDS = {
    "inclusion": Kind(inclusions, check_inclusion, (6, 92)),
    "consistency": Kind(consistencies, check_consistency, (6, 92)),
    "subtreeinclusion": Kind(subtree_inclusions, check_subtree_inclusion, (12, 192)),
    "subtreeconsistency": Kind(subtree_consistencies, check_subtree_consistency, (12, 106)),
}


def refused(check: Callable[[Vector], None], vector: Vector) -> bool:
    try:
        check(vector)
    except ProofError:
        return True
    return False


@pytest.mark.parametrize("name", KINDS)
def test_right_proofs_hold_and_wrong_ones_do_not(name: str) -> None:
    kind, right, wrong = KINDS[name], 0, 0
    for vector in kind.right():
        kind.check(vector)
        right += 1
        for what, change in WRONG.items():
            changed = change(vector)
            if changed == vector:
                continue  # there is no hash to change
            assert refused(kind.check, changed), (what, vector)
            wrong += 1
    assert right >= kind.public[0]
    assert wrong >= kind.public[1]


@vectors.needs_vectors
@pytest.mark.parametrize("name", KINDS)
def test_the_public_files_have_as_many_as_stated(name: str) -> None:
    cases = vectors.load(f"rfc6962_{name}.json")["vectors"]
    wrong = sum(case["wantErr"] for case in cases)
    assert (len(cases) - wrong, wrong) == KINDS[name].public
