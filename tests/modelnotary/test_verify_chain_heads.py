"""Entries that tell the hash chain: one that tells another chain is named, one that is missing is missed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sample_bundle as sample
from large_export import large_entries
from sample_bundle import KEYS, LINEAGE, NOW

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, ChainHead
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.event import Subject
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tree import tree_root
from modelnotary.verify.bundle import verify_bundle
from modelnotary.verify.bundle_folder import LogWriter, folder_seal
from modelnotary.verify.chain_heads import ChainHeads, heads_check
from modelnotary.verify.result import Check, Outcome

SIZE, AT = 10_010, 10_003
PLAIN = list(large_entries(SIZE))


def link(entries: list[bytes], size: int, origin: str = LINEAGE) -> bytes:
    chain = Chain(origin)
    chain.extend(map(leaf_hash, entries[:size]))
    return chain.head


def told(data: dict[str, object], origin: str = LINEAGE) -> bytes:
    return sample.event(9_000_000, CHAIN_HEAD_EVENT, Subject("log", origin), data, at=NOW)


def right() -> dict[str, object]:
    return {"size": 10_000, "chain": link(PLAIN, 10_000).hex()}


def chain_check(folder: Path, entry: bytes, at: int = AT) -> Check:
    """What is said of the chain of a bundle in whose log an entry tells it; the key signed all of it."""
    entries = [*PLAIN[:at], entry, *PLAIN[at + 1 :]]
    writer = LogWriter(folder, LINEAGE)
    writer.extend(iter(entries))
    checkpoint = Checkpoint(LINEAGE, len(entries), tree_root(map(leaf_hash, entries)))
    writer.finish(checkpoint_sign(checkpoint, KEYS.signer(LINEAGE)))
    (folder / "trust.json").write_bytes(KEYS.trust().to_bytes())
    folder_seal(folder, subject=sample.SUBJECT, logs=[checkpoint], created_at=NOW, private_key=KEYS.decision)
    report = verify_bundle(folder, KEYS.trust(), kept=None, now=NOW)
    return next(check for check in report.checks if check.outcome is Outcome.FAIL or check.name == "lineage chain")


def test_an_entry_that_tells_the_chain_binds_it_to_the_signed_tree(tmp_path: Path) -> None:
    check = chain_check(tmp_path, told(right()))
    assert (check.outcome, check.name) == (Outcome.PASS, "lineage chain")
    assert "entries tell it up to 10000" in check.detail


def test_what_is_told_of_another_log_is_not_compared(tmp_path: Path) -> None:
    check = chain_check(tmp_path, told(right() | {"chain": "00" * 32}, origin=f"{LINEAGE}-2"))
    assert (check.outcome, check.name) == (Outcome.PASS, "lineage chain")
    assert "no entry tells it yet" in check.detail


FALSE: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    "another link": (lambda: right() | {"chain": "00" * 32}, "lineage chain"),
    "the link before": (lambda: right() | {"chain": link(PLAIN, 9_999).hex()}, "lineage chain"),
    "the link of another log": (lambda: right() | {"chain": link(PLAIN, 10_000, "x/y").hex()}, "lineage chain"),
    "a size that the log did not have": (lambda: right() | {"size": 20_000}, "lineage chain"),
    "a size between": (lambda: right() | {"size": 10_001}, "lineage entries"),
    "a member too many": (lambda: right() | {"root": "00" * 32}, "lineage entries"),
}


@pytest.mark.parametrize("what", FALSE)
def test_an_entry_that_tells_the_chain_falsely_is_named(what: str, tmp_path: Path) -> None:
    data, name = FALSE[what]
    check = chain_check(tmp_path, told(data()))
    assert (check.outcome, check.name, check.span) == (Outcome.FAIL, name, (AT, AT + 1))


def heads_of(*sizes: int, start: int = 0) -> ChainHeads:
    """A log of 40,500 entries from a start on, in which entries tell the chain at these sizes."""
    heads = ChainHeads(LINEAGE)
    for at in range(start, 40_500, 500):
        heads.follow(at, [size.to_bytes(32) for size in range(at + 1, at + 501)])
    for number, size in enumerate(sizes):
        heads.compare(40_400 + number, ChainHead(LINEAGE, size, size.to_bytes(32)))
    return heads


def test_an_entry_that_is_missing_is_missed_once_a_later_one_is_there() -> None:
    check = heads_check("chain", heads_of(10_000, 30_000), "right")
    assert (check.outcome, check.span) == (Outcome.MISSING, (10_000, 20_000))
    for sizes in ((), (10_000,), (10_000, 20_000, 30_000, 40_000)):
        assert heads_check("chain", heads_of(*sizes), "right").outcome is Outcome.PASS


def test_of_entries_that_were_dropped_nothing_is_missed_and_nothing_compared() -> None:
    heads = heads_of(20_000, 30_000, start=15_872)
    heads.compare(40_450, ChainHead(LINEAGE, 10_000, bytes(32)))
    assert heads_check("chain", heads, "right").outcome is Outcome.PASS
    heads.compare(40_451, ChainHead(LINEAGE, 20_000, bytes(32)))
    assert heads_check("chain", heads, "right").span == (40_451, 40_452)
