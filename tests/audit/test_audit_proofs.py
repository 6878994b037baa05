"""Proofs made from what is stored verify against roots computed the slow way."""

from functools import partial

import pytest
import reference_tree
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections
from django.test.utils import CaptureQueriesContext
from ledger_driver import (
    bodies_of,
    connect,
    events_append,
    events_append_many,
    log_named,
    one,
    sequence_all,
    triggers_off,
)

from audit.errors import CorruptLogError, NotSequencedError, UnknownEntryError
from audit.models import Entry
from audit.selectors import (
    chain_head,
    checkpoint_latest,
    consistency_proof,
    entry_proof,
    entry_prove,
)
from audit.sequencing import checkpoint_store
from audit.stored_tree import TILES, TileMemory
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.errors import ProofError, TreeError
from modelnotary.ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tree import consistency_path, inclusion_path, tree_root

ENTRIES = 700
SIZES = (1, 2, 3, 7, 255, 256, 257, 300, 511, 512, 513, 600, 700)
INDICES = (0, 1, 2, 100, 254, 255, 256, 257, 400, 511, 512, 699)
# Past the second level of stored subtrees: one node for 65,536 entries.
MANY = 66_000
LARGE = (65_535, 65_536, 65_537, 65_800, MANY)


def checkpoint_sign_and_store(database: Database, signer: NoteSigner) -> Checkpoint:
    with connect(database, "sequencer", autocommit=True) as connection:
        log = log_named(connection, "lineage")
        size, root = connection.execute(
            "SELECT size, root FROM ledger.head WHERE log_id = %s", (log.log_id,)
        ).fetchall()[0]
        checkpoint = Checkpoint(log.origin, size, root)
        checkpoint_store(connection, log, size=size, root=root, note=checkpoint_sign(checkpoint, signer).decode())
    return checkpoint


@pytest.fixture(scope="module")
def signer(database: Database) -> NoteSigner:
    with connect(database, "auditor") as connection:
        return NoteSigner(log_named(connection, "lineage").origin, Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def leaves(database: Database, signer: NoteSigner) -> list[bytes]:
    """The leaf hashes of a log of 700 entries with a signed checkpoint."""
    entries = events_append(database, ENTRIES)
    assert sequence_all(database) == ENTRIES
    checkpoint_sign_and_store(database, signer)
    return [reference_tree.leaf(entry) for entry in entries]


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_is_proven_in_every_tree_that_holds_the_entry(leaves: list[bytes], size: int) -> None:
    root = reference_tree.root(leaves[:size])
    for index in (index for index in INDICES if index < size):
        path = TileMemory().path(log="lineage", size=size, make=partial(inclusion_path, index, size))
        assert path == reference_tree.path(index, leaves[:size])
        verify_inclusion(index, size, leaves[index], path, root)


@pytest.mark.parametrize("new", SIZES)
def test_consistency_is_proven_from_every_smaller_tree(leaves: list[bytes], new: int) -> None:
    for old in (old for old in SIZES if old <= new):
        path = consistency_proof(log="lineage", old_size=old, new_size=new)
        assert path == reference_tree.proof(old, leaves[:new])
        verify_consistency(old, new, path, reference_tree.root(leaves[:old]), reference_tree.root(leaves[:new]))


def test_a_proof_names_the_entry_and_the_key_that_signed(leaves: list[bytes], signer: NoteSigner) -> None:
    for index in INDICES:
        entry = Entry.objects.get(log="lineage", seq=index)
        proof = entry_proof(event_id=entry.event_id)
        assert (proof.index, leaf_hash(proof.leaf)) == (index, leaves[index])
        checkpoint = InclusionProof.from_bytes(proof.proof.encode()).verify(proof.leaf, signer.verifier)
        assert (checkpoint.size, checkpoint.root) == (ENTRIES, reference_tree.root(leaves))
        with pytest.raises(ProofError):
            InclusionProof.from_bytes(proof.proof.encode()).verify(proof.leaf + b" ", signer.verifier)


def test_the_log_is_read_whole_and_in_order(database: Database, leaves: list[bytes]) -> None:
    assert [leaf_hash(body) for body in bodies_of(log="lineage", size=300)] == leaves[:300]
    with connect(database, "auditor") as connection:
        assert chain_head(log="lineage", size=300) == one(
            connection, "SELECT chain FROM ledger.entry WHERE log_id = 1 AND seq = 299"
        )


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (partial(entry_proof, event_id="evt_none"), UnknownEntryError),
        (partial(checkpoint_latest, log="mine"), UnknownEntryError),
        (partial(checkpoint_latest, log="access"), UnknownEntryError),
        (partial(consistency_proof, log="lineage", old_size=1, new_size=ENTRIES + 1), UnknownEntryError),
        (partial(consistency_proof, log="lineage", old_size=0, new_size=5), TreeError),
        (partial(consistency_proof, log="lineage", old_size=6, new_size=5), TreeError),
        (partial(chain_head, log="lineage", size=100_000), NotSequencedError),
    ],
)
def test_what_cannot_be_proven_is_said_plainly(
    leaves: list[bytes], call: partial[object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call()


def test_an_event_waits_for_its_place_and_then_for_a_signed_checkpoint(
    database: Database, leaves: list[bytes], signer: NoteSigner
) -> None:
    events_append(database, 1)
    event_id = Entry.objects.get(log="lineage", seq=None).event_id
    with pytest.raises(NotSequencedError):
        entry_proof(event_id=event_id)
    sequence_all(database)
    with pytest.raises(NotSequencedError):
        entry_proof(event_id=event_id)
    checkpoint_sign_and_store(database, signer)
    assert entry_proof(event_id=event_id).index == ENTRIES


def test_a_stored_subtree_that_was_removed_is_missed_and_not_made_up(database: Database, leaves: list[bytes]) -> None:
    with connect(database, "superuser", autocommit=True) as connection, triggers_off(connection, "node"):
        connection.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM ledger.node WHERE log_id = 1 AND idx = 1")
        connection.execute("DELETE FROM ledger.node WHERE log_id = 1 AND idx = 1")
        TILES.forget()
        with pytest.raises(CorruptLogError, match="lacks hashes"):
            entry_proof(event_id=Entry.objects.get(log="lineage", seq=0).event_id)
        connection.execute("INSERT INTO ledger.node SELECT * FROM kept")
    assert entry_proof(event_id=Entry.objects.get(log="lineage", seq=0).event_id).index == 0


def test_a_proof_takes_one_statement_and_keeps_what_the_next_one_needs(leaves: list[bytes]) -> None:
    entries = [Entry.objects.get(log="lineage", seq=index) for index in (0, 300)]
    checkpoint = checkpoint_latest(log="lineage")
    TILES.forget()
    with CaptureQueriesContext(connections["auditor"]) as asked:
        entry_prove(entry=entries[0], checkpoint=checkpoint)
        entry_prove(entry=entries[1], checkpoint=checkpoint)
    first, second = (query["sql"] for query in asked.captured_queries)
    # The leaves beside it, those at the right edge, and the roots over 256; then the leaves beside it alone.
    assert (first.count("string_agg"), second.count("string_agg")) == (3, 1)


def test_what_was_kept_of_another_tree_is_read_anew_and_what_is_stored_wrongly_is_named(
    database: Database, leaves: list[bytes]
) -> None:
    entry, checkpoint = Entry.objects.get(log="lineage", seq=5), checkpoint_latest(log="lineage")
    with connect(database, "superuser", autocommit=True) as connection, triggers_off(connection, "node"):
        connection.execute("UPDATE ledger.node SET hash = sha256(hash) WHERE log_id = 1 AND idx = 1")
        TILES.forget()
        with pytest.raises(CorruptLogError, match="does not lead to the root"):
            entry_prove(entry=entry, checkpoint=checkpoint)
        connection.execute(
            "UPDATE ledger.node SET hash = %s WHERE log_id = 1 AND idx = 1", (tree_root(leaves[256:512]),)
        )
    assert entry_prove(entry=entry, checkpoint=checkpoint).index == 5


def test_proofs_of_a_log_of_66_000_entries_read_the_larger_subtrees(database: Database) -> None:
    events_append_many(database, MANY, log="access")
    assert sequence_all(database, log="access") == MANY
    with connect(database, "auditor") as connection:
        leaves = [leaf_hash(body) for body in bodies_of(log="access", size=MANY)]
        levels = connection.execute(
            "SELECT level, count(*) FROM ledger.node WHERE log_id = 2 GROUP BY level ORDER BY level"
        ).fetchall()
        assert one(connection, "SELECT root FROM ledger.head WHERE log_id = 2") == reference_tree.root(leaves)
    assert levels == [(8, MANY // 256), (16, 1)]
    tiles = TileMemory()
    roots = {size: tree_root(leaves[:size]) for size in (*SIZES[:4], *LARGE)}
    for size in LARGE:
        for index in (0, 255, 256, 40_000, 65_534, size - 1):
            path = tiles.path(log="access", size=size, make=partial(inclusion_path, index, size))
            verify_inclusion(index, size, leaves[index], path, roots[size])
        for old in (old for old in roots if old <= size):
            path = tiles.path(log="access", size=size, make=partial(consistency_path, old, size))
            verify_consistency(old, size, path, roots[old], roots[size])
