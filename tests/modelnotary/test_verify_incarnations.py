"""A successor's entry 0 is believed only as far as its predecessor, signatures and a kept checkpoint bear it out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sample_bundle as sample
from sample_bundle import KEYS, LINEAGE, NOW, Sample, event, key

from modelnotary.ledger.chain import Chain
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.errors import IncarnationError
from modelnotary.ledger.event import Actor, Event, Subject
from modelnotary.ledger.incarnation import Incarnation, empty_checkpoint, log_class, log_number, successor_name
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSigner
from modelnotary.ledger.tree import tree_root
from modelnotary.verify.bundle import bundle_examine
from modelnotary.verify.bundle_format import log_files, manifest_sign
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_export import log_examine
from modelnotary.verify.result import Check, ExitCode, Outcome
from modelnotary.verify.trust import Trust

SUCCESSOR = f"{LINEAGE}-2"
SIGNED, COVERED, FROZEN, RESTORED = 10, 4, 5, 6
LINEAGE_KEY = KEYS.signer(LINEAGE)
SUCCESSOR_KEY = NoteSigner(SUCCESSOR, key(4))
ADA, BO = Actor("person", f"usr_{7:032x}", "Ada Example"), Actor("person", f"usr_{8:032x}", "Bo Example")
ENTRIES = Sample().entries()
# Committed before the backup was taken, sequenced after it was restored: it was entry 5 of the signed log as well.
LEFT = ENTRIES[:RESTORED]


def tree(origin: str, entries: list[bytes]) -> Checkpoint:
    return Checkpoint(origin, len(entries), tree_root(map(leaf_hash, entries)))


def told(**changes: Any) -> Incarnation:
    chain = Chain(LINEAGE)
    chain.extend(map(leaf_hash, LEFT))
    honest = Incarnation(
        note=checkpoint_sign(tree(LINEAGE, ENTRIES), LINEAGE_KEY).decode(),
        restored=tree(LINEAGE, LEFT),
        chain=chain.head,
        covered=tree(LINEAGE, ENTRIES[:COVERED]),
        lost=(FROZEN, SIGNED),
        reason="disk array lost; restored the backup of 02:00",
        approvers=(ADA, BO),
    )
    return replace(honest, **changes)


def entry_zero(data: dict[str, Any], *, kind: str = "log.incarnation", origin: str = SUCCESSOR) -> bytes:
    return Event(
        log_class(origin), kind, f"evt_{90:032x}", NOW, Actor("system", "log_open", "x"), Subject("log", origin), data
    ).to_bytes()


@dataclass
class World:
    """The two logs of a bundle; change one, then `files` makes the rest consistent with it."""

    first: bytes
    predecessor: list[bytes] | None
    repeated: list[bytes]
    more: list[bytes]

    def successor(self) -> list[bytes]:
        return [self.first, *self.repeated, *self.more]

    def logs(self) -> dict[str, tuple[list[bytes], NoteSigner]]:
        own = {SUCCESSOR: (self.successor(), SUCCESSOR_KEY)}
        return own if self.predecessor is None else {LINEAGE: (self.predecessor, LINEAGE_KEY)} | own

    def write(self, folder: Path) -> Path:
        plain = Sample(with_access=False).files()
        files = {name: data for name, data in plain.items() if not name.startswith(("logs/", "manifest", "trust"))}
        files["trust.json"] = trust().to_bytes()
        for origin, (entries, signer) in self.logs().items():
            files |= log_files(origin, entries, checkpoint_sign(tree(origin, entries), signer))
        files["manifest.dsse.json"] = manifest_sign(
            files,
            subject=sample.SUBJECT,
            logs=[tree(origin, entries) for origin, (entries, _) in self.logs().items()],
            created_at=NOW,
            private_key=KEYS.decision,
        )
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder


def trust() -> Trust:
    known = KEYS.trust()
    return replace(known, logs=(*known.logs, LogKeys.of(SUCCESSOR_KEY.verifier)))


def world(**changes: Any) -> World:
    later = [event(91, "job.requested", Subject("job", f"job_{91:032x}"), {"n": 1})]
    honest = World(entry_zero(told().to_data()), ENTRIES[:COVERED], LEFT[COVERED:], later)
    return replace(honest, **changes)


def examine(path: Path, *, kept: list[bytes] | None = None) -> tuple[ExitCode, Check]:
    """The verdict on a bundle, and what it says of the successor's predecessor."""
    note = None
    if kept is not None:
        signed = checkpoint_sign(tree(LINEAGE, kept), LINEAGE_KEY)
        note = KeptCheckpoint(signed, tree(LINEAGE, kept))
    report = bundle_examine(path, None, kept=note, now=NOW).report
    found = [check for check in report.checks if check.name == "lineage-2 predecessor"]
    assert len(found) == 1, report.checks
    return report.exit_code, found[0]


def test_a_bundle_with_both_incarnations_verifies_and_tells_what_happened(tmp_path: Path) -> None:
    code, check = examine(world().write(tmp_path))
    assert (code, check.outcome) == (ExitCode.VERIFIED, Outcome.PASS)
    for words in ("lost the signed entries 5 to 9", "sealed at 6", "restored the backup", "Ada Example and Bo Example"):
        assert words in check.detail


@pytest.mark.parametrize("covers", [0, RESTORED])
def test_a_predecessor_may_have_kept_all_of_its_proofs_or_none(tmp_path: Path, covers: int) -> None:
    covered = tree(LINEAGE, LEFT[:covers]) if covers else empty_checkpoint(LINEAGE)
    first = entry_zero(told(covered=covered, lost=(max(covers, FROZEN), SIGNED)).to_data())
    both = world(first=first, predecessor=LEFT[:covers] or None, repeated=LEFT[covers:])
    assert examine(both.write(tmp_path))[0] is ExitCode.VERIFIED


OTHER = event(77, "job.requested", Subject("job", f"job_{77:032x}"), {"n": 77})


def changed(**changes: Any) -> bytes:
    return entry_zero(told().to_data() | changes)


def part(name: str, **changes: Any) -> bytes:
    return changed(**{name: told().to_data()[name] | changes})  # type: ignore[operator]


ATTACKS: dict[str, tuple[Callable[[], World], str]] = {
    "no incarnation entry": (lambda: world(first=OTHER), "entry 0 of .* is job.requested"),
    "the predecessor's root is another one": (
        lambda: world(first=entry_zero(told(covered=tree(LINEAGE, [OTHER] * COVERED)).to_data())),
        "names another root",
    ),
    "the predecessor was smaller than it is": (
        lambda: world(first=entry_zero(told(covered=tree(LINEAGE, ENTRIES[:3])).to_data()), repeated=LEFT[3:]),
        "is signed at 4 entries here",
    ),
    "an entry that was left is not repeated": (lambda: world(repeated=[], more=[OTHER] * 3), "not the last ones"),
    "an entry that was left is repeated with other content": (lambda: world(repeated=[LEFT[4], OTHER]), "not the last"),
    "the repeated entries are cut off": (lambda: world(repeated=[LEFT[4]], more=[]), "does not repeat the last 2"),
    "the hash chain is another one": (lambda: world(first=entry_zero(told(chain=bytes(32)).to_data())), "not the last"),
    "the predecessor's note is signed by somebody else": (
        lambda: world(
            first=changed(note=checkpoint_sign(tree(LINEAGE, ENTRIES), NoteSigner(LINEAGE, key(9))).decode())
        ),
        "does not verify with its key",
    ),
    "the predecessor is another log": (
        lambda: world(first=changed(predecessor=f"{sample.INSTANCE}/access")),
        "one predecessor",
    ),
    "an approver is missing": (lambda: world(first=changed(approvers=[_person(ADA)])), "approved by 2 people"),
    "the same person approved twice": (
        lambda: world(first=changed(approvers=[_person(ADA), _person(ADA)])),
        "approved twice",
    ),
    "a program approved": (
        lambda: world(first=changed(approvers=[_person(ADA), _person(BO) | {"kind": "system"}])),
        "approved by 2 people",
    ),
    "no reason is given": (lambda: world(first=changed(reason=" ")), "the reason"),
    "less is said to be lost": (lambda: world(first=changed(lost=[FROZEN, 8])), "do not lie between"),
    "a number is spelled as text": (lambda: world(first=part("covered", size=str(COVERED))), "exactly the members"),
    "a member is added": (lambda: world(first=changed(note2="x")), "exactly the members"),
    "the entry is of another log": (
        lambda: world(first=entry_zero(told().to_data(), origin=f"{LINEAGE}-3")),
        "names the predecessor",
    ),
    "a second beginning": (lambda: world(more=[entry_zero(told().to_data())]), "entry 3 says that the log begins"),
}


def _person(actor: Actor) -> dict[str, Any]:
    return {"kind": actor.kind, "id": actor.id, "name": actor.name}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_untrue_incarnation_entry_is_refused_in_words(tmp_path: Path, attack: str) -> None:
    make, words = ATTACKS[attack]
    code, check = examine(make().write(tmp_path))
    assert (code, check.outcome) == (ExitCode.TAMPERED, Outcome.FAIL)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(check.detail)


def test_a_predecessor_that_disappeared_is_missing(tmp_path: Path) -> None:
    code, check = examine(world(predecessor=None).write(tmp_path))
    assert (code, check.outcome) == (ExitCode.INCOMPLETE, Outcome.MISSING)
    assert f"the log {LINEAGE}" in check.detail


KEPT: dict[str, tuple[list[bytes], ExitCode, str]] = {
    "covered": (ENTRIES[:3], ExitCode.VERIFIED, "lost"),
    "lost": (ENTRIES[:8], ExitCode.INCOMPLETE, "lost"),
    "the newest": (ENTRIES, ExitCode.INCOMPLETE, "lost"),
    "newer than is told": ([*ENTRIES, OTHER], ExitCode.TAMPERED, "conceals the others"),
    "another tree of the newest size": ([*ENTRIES[:9], OTHER], ExitCode.TAMPERED, "not those that you kept"),
}


@pytest.mark.parametrize("what", KEPT)
def test_a_kept_checkpoint_of_the_predecessor_bounds_what_may_be_called_lost(tmp_path: Path, what: str) -> None:
    kept, verdict, words = KEPT[what]
    code, check = examine(world().write(tmp_path), kept=kept)
    assert (code, words in check.detail) == (verdict, True)


def test_a_log_that_follows_none_cannot_claim_to_begin_again(tmp_path: Path) -> None:
    entries = [*ENTRIES, entry_zero(told().to_data())]
    plain = Sample(edit_entries=lambda _: entries).files()
    for name, data in plain.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    report = bundle_examine(tmp_path, None, kept=None, now=NOW).report
    assert [check.index for check in report.checks if check.outcome is Outcome.FAIL] == [len(ENTRIES)]


def test_a_successor_exported_alone_shows_what_it_follows(tmp_path: Path) -> None:
    for name, data in log_files(
        SUCCESSOR, world().successor(), checkpoint_sign(tree(SUCCESSOR, world().successor()), SUCCESSOR_KEY)
    ).items():
        path = tmp_path / name.removeprefix("logs/lineage-2/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "trust.json").write_bytes(trust().to_bytes())
    report = log_examine(tmp_path, None, kept=None, now=NOW).report
    assert report.exit_code is ExitCode.VERIFIED
    assert any(LINEAGE in check.detail for check in report.checks if check.name == "lineage-2 predecessor")


def test_the_incarnation_is_read_as_it_was_written() -> None:
    read = Incarnation.from_event(Event.from_bytes(entry_zero(told().to_data())), origin=SUCCESSOR)
    assert read == told()
    assert (read.predecessor, read.successor, read.repeated) == (LINEAGE, SUCCESSOR, RESTORED - COVERED)


@pytest.mark.parametrize(
    ("name", "kind", "number", "follows"),
    [
        ("lineage", "lineage", 1, "lineage-2"),
        ("lineage-2", "lineage", 2, "lineage-3"),
        (f"{sample.INSTANCE}/access-10", "access", 10, f"{sample.INSTANCE}/access-11"),
    ],
)
def test_a_name_tells_class_and_number(name: str, kind: str, number: int, follows: str) -> None:
    assert (log_class(name), log_number(name), successor_name(name)) == (kind, number, follows)


@pytest.mark.parametrize("name", ["lineage-1", "lineage-02", "lineage-", "Lineage-2", "lineage-2-2", "lineage-99999"])
def test_a_name_that_is_spelled_otherwise_is_no_successor(name: str) -> None:
    assert (log_class(name), log_number(name)) == (name, 1)


def test_a_number_has_one_spelling() -> None:
    data = told(covered=tree(LINEAGE, ENTRIES[:1])).to_data()
    data["covered"] |= {"size": True}  # type: ignore[operator]
    with pytest.raises(IncarnationError, match="one spelling"):
        Incarnation.from_event(Event.from_bytes(entry_zero(data)), origin=SUCCESSOR)


def test_parts_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(IncarnationError, match="contradicts the newest signed one"):
        told(covered=tree(LINEAGE, [*ENTRIES, OTHER]))
