"""A log that grows, is stored, restored and proved in any order stays the tree of the definition."""

from functools import cache

import reference_tree as reference
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.merkle import is_subtree, leaf_hash, verify_consistency, verify_inclusion
from modelnotary.ledger.merkle import verify_subtree_consistency as verify_subtree
from modelnotary.ledger.tree import (
    Frontier,
    Subtree,
    consistency_path,
    inclusion_path,
    perfect_root,
    subtree_consistency_path,
    subtree_root,
)

MOST = 700


@cache
def slow_root(leaves: tuple[bytes, ...]) -> bytes:
    return reference.root(list(leaves))


class GrowingLog(RuleBasedStateMachine):
    """The fast tree beside all its leaves and the roots it should have had at each size it was seen at."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[bytes] = []
        self.frontier = Frontier()
        self.chain = Chain("notary.example/1/lineage")
        self.links: list[bytes] = []
        self.roots = {0: self.frontier.root()}
        self.stored: dict[tuple[int, int], bytes] = {}

    @initialize(count=st.integers(0, 300))
    def begin(self, count: int) -> None:
        self.grow(count)

    @precondition(lambda self: len(self.leaves) < MOST)
    @rule(count=st.integers(0, 60))
    def grow(self, count: int) -> None:
        fresh = [leaf_hash(number.to_bytes(4)) for number in range(len(self.leaves), len(self.leaves) + count)]
        self._store(self.frontier.extend(fresh))
        self.links += self.chain.extend(fresh)
        self._grown(fresh)

    @precondition(lambda self: 0 < len(self.leaves) < MOST)
    @rule(level=st.integers(0, 6), count=st.integers(1, 3))
    def grow_by_subtrees(self, level: int, count: int) -> None:
        width = 1 << level
        if len(self.leaves) % width:
            return
        start = len(self.leaves)
        fresh = [leaf_hash(number.to_bytes(4)) for number in range(start, start + count * width)]
        roots = [perfect_root(fresh[at : at + width]) for at in range(0, len(fresh), width)]
        self._store(self.frontier.extend(roots, level=level))
        self.links += self.chain.extend(fresh)
        self._grown(fresh)

    @rule()
    def store_and_restore(self) -> None:
        self.frontier = Frontier(self.frontier.size, self.frontier.hashes)
        self.chain = Chain("notary.example/1/lineage", self.chain.size, self.chain.head)

    @precondition(lambda self: self.leaves)
    @rule(data=st.data())
    def prove_an_entry(self, data: st.DataObject) -> None:
        size = data.draw(st.sampled_from([size for size in self.roots if size]))
        index = data.draw(st.integers(0, size - 1))
        path = inclusion_path(index, size, self._node)
        assert path == reference.path(index, self.leaves[:size])
        verify_inclusion(index, size, self.leaves[index], path, self.roots[size])

    @precondition(lambda self: self.leaves)
    @rule(data=st.data())
    def prove_growth(self, data: st.DataObject) -> None:
        sizes = sorted(size for size in self.roots if size)
        new = data.draw(st.sampled_from(sizes))
        old = data.draw(st.sampled_from([size for size in sizes if size <= new]))
        path = consistency_path(old, new, self._node)
        assert path == reference.proof(old, self.leaves[:new])
        verify_consistency(old, new, path, self.roots[old], self.roots[new])

    @precondition(lambda self: self.leaves)
    @rule(data=st.data())
    def prove_a_stretch(self, data: st.DataObject) -> None:
        size = data.draw(st.sampled_from([size for size in self.roots if size]))
        end = data.draw(st.integers(1, size))
        start = data.draw(st.sampled_from([start for start in range(end) if is_subtree(start, end)]))
        path = subtree_consistency_path(start, end, size, self._node)
        part = subtree_root(start, end, self._node)
        verify_subtree(start, end, size, path, part, self.roots[size])

    @invariant()
    def it_is_the_tree_and_the_chain_of_the_definition(self) -> None:
        size = len(self.leaves)
        assert (self.frontier.size, self.frontier.root()) == (size, self.roots[size])
        assert (self.chain.size, len(self.links)) == (size, size)
        assert self.stored.keys() == {(8, index) for index in range(size // 256)}

    def _grown(self, fresh: list[bytes]) -> None:
        self.leaves += fresh
        self.roots[len(self.leaves)] = slow_root(tuple(self.leaves))

    def _store(self, completed: list[Subtree]) -> None:
        self.stored |= {(subtree.level, subtree.index): subtree.hash for subtree in completed}

    def _node(self, level: int, index: int) -> bytes:
        """Reads stored subtrees where there are some, as a database would, and leaves elsewhere."""
        stored = self.stored.get((level, index))
        return stored or slow_root(tuple(self.leaves[index << level : (index + 1) << level]))


TestGrowingLog = GrowingLog.TestCase
TestGrowingLog.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
