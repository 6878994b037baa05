"""A database restored from a backup freezes its logs; two officers open successors; nothing resumes by itself."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import factories
import pytest
from admin_records import signed_in
from api_driver import Api, require, require_problem
from conftest import Database
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from ledger_driver import connect, counts, sequence_all, triggers_off
from psycopg.errors import RestrictViolation
from restored_site import REASON, Site, record, site_of

from audit.anchoring import Publication, anchors_configured, checkpoints_publish
from audit.enums import AccessEvent
from audit.errors import UnknownEntryError
from audit.incarnations import successors_check
from audit.models import Entry, LogRecord
from audit.selectors import checkpoint_latest, consistency_proof, entries_of, entry_get, entry_proof, log_current
from audit.verification import ledger_verify
from config.embedded import CHECKOUT, EmbeddedServices
from config.embedded.processes import wait_until
from governance.enums import Role
from governance.models import User
from modelnotary.ledger.checkpoint import Checkpoint
from modelnotary.ledger.event import Event
from modelnotary.ledger.incarnation import Incarnation
from modelnotary.ledger.tiles import bundle_decode
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode, Outcome
from modelnotary.verify.trust import Trust
from reports.enums import DocumentKind
from reports.models import Document
from reports.services import bundle_execute, document_request, report_execute

LOGS = ("lineage", "access")
SYSTEM = {
    "slug": "triage",
    "name": "Triage",
    "operator": "First Example Hospital",
    "purpose": "Orders the waiting list",
    "decision_supported": "Who is seen first",
    "affected_persons": "Patients",
    "jurisdiction": "US",
    "contains_phi": True,
}
# The functions after each of which the ceremony is killed; whether a key is there then, and trusted.
KILLS = {
    "restore_approvers": (False, False),
    "log_keys_make": (True, False),
    "file_replace": (True, True),
    "batch_sequence": (True, True),
    "_open": (True, True),
}


@dataclass(frozen=True)
class Story:
    """What was recorded before the backup, and what only after it."""

    case: factories.Case
    api: Api
    engineer: User
    administrator: User
    premature: str
    signed: str
    proof: Path
    kept: Path
    unsigned: str
    waiting: str
    lost: str
    covered: Checkpoint


@dataclass(frozen=True)
class Frozen:
    """What was seen while the logs were frozen."""

    early: str
    early_waited: bool
    reasons: dict[str, str]
    readiness: Any
    posted: HttpResponse
    page: Any
    published: list[Publication]
    refused: dict[str, str]
    unchanged: bool


@dataclass(frozen=True)
class Opened:
    """What came of the ceremony."""

    left_behind: dict[str, tuple[int, bool, bool, bool]]
    after_one: tuple[int, dict[str, str]]
    done: list[dict[str, Any]]
    again: list[dict[str, Any]]
    fresh: str


@pytest.fixture(scope="module")
def site(
    database: Database, cluster: EmbeddedServices, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with site_of(database, cluster, keys, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def restored(site: Site) -> Story:
    """Signed, unsigned and waiting events go into a backup; more are signed; then the backup comes back."""
    case = factories.waiting_case()
    api = Api(factories.token(case.pipeline))
    engineer, administrator = factories.person(Role.ENGINEER), factories.administrator()
    site.start()
    signed = record(name="signed")
    record(event=AccessEvent.RECORD_VIEWED)
    site.settle()
    premature = refusal("lineage", *site.approving(*case.officers))
    proof = site.home / "signed.tlog-proof"
    proof.write_text(entry_proof(event_id=signed).proof, encoding="utf-8")
    covered = checkpoint_latest(log="lineage")
    site.stop()
    unsigned = record(name="unsigned")
    sequence_all(site.database)
    waiting = record(name="waiting")
    site.backup()
    site.start()
    lost = record(name="lost")
    record(event=AccessEvent.RECORD_VIEWED)
    site.settle()
    kept = site.home / "kept.checkpoint"
    kept.write_text(checkpoint_latest(log="lineage").note, encoding="utf-8")
    site.stop()
    site.restore()
    return Story(
        case=case,
        api=api,
        engineer=engineer,
        administrator=administrator,
        premature=premature,
        signed=signed,
        proof=proof,
        kept=kept,
        unsigned=unsigned,
        waiting=waiting,
        lost=lost,
        covered=Checkpoint(covered.origin, covered.size, bytes(covered.root)),
    )


@pytest.fixture(scope="module")
def frozen(site: Site, restored: Story) -> Frozen:
    """At first signer and anchor are away, and nobody can know that anything is missing."""
    site.share.rename(site.home / "away")
    site.start("sequencer")
    assert wait_until(lambda: site.told().count("its events wait for their place") >= len(LOGS), seconds=90)
    early = record(name="early")
    early_waited = entry_get(event_id=early).seq is None
    site.start("signer")
    assert site.frozen(*LOGS), site.told()
    (site.home / "away").rename(site.share)
    before = ledger_counts(site)
    return Frozen(
        early=early,
        early_waited=early_waited and entry_get(event_id=early).seq is None,
        reasons={log: log_current(log_class=log).state_reason or "" for log in LOGS},
        readiness=Client(SERVER_NAME="127.0.0.1").get("/readyz").json(),
        posted=restored.api.post("systems", SYSTEM),
        page=signed_in(restored.case.officers[0]).get("/admin/governance/aisystem/"),
        published=checkpoints_publish(anchors=anchors_configured()),
        refused=refusals(site, restored),
        unchanged=ledger_counts(site) == before and not (site.keys / "lineage-2.key").exists(),
    )


def ledger_counts(site: Site) -> dict[str, int]:
    with connect(site.database, "auditor") as connection:
        return counts(connection)


def refusals(site: Site, restored: Story) -> dict[str, str]:
    """In what words the ceremony is refused."""
    ada, ben = restored.case.officers
    both = site.approving(ada, ben)
    said = {
        "nobody": refusal("lineage"),
        "one": refusal("lineage", *both[:1]),
        "one twice": refusal("lineage", both[0], both[0]),
        "no officer": refusal("lineage", both[0], *site.approving(restored.engineer)),
        "a superuser": refusal("lineage", both[0], *site.approving(restored.administrator)),
        "nobody's account": refusal("lineage", both[0], "--approve=nobody"),
        "a wrong password": refusal("lineage", both[0], *site.approving(ben, password="guessed")),
    }
    site.approving(ben)
    site.share.rename(site.home / "away")
    said["an anchor away"] = refusal("lineage", *both)
    (site.home / "away").rename(site.share)
    return said


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        log_open(*arguments)
    return str(caught.value)


def log_open(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("log_open", *arguments, f"--reason={REASON}", "--json", stdout=out, stderr=StringIO())
    return list(json.loads(out.getvalue())["opened"])


@pytest.fixture(scope="module")
def opened(site: Site, restored: Story, frozen: Frozen) -> Opened:
    """The ceremony is killed after each of its steps, and said again."""
    assert frozen.unchanged
    approve = site.approving(*restored.case.officers)
    before, left_behind = ledger_counts(site), {}
    for function in KILLS:
        done = site.ceremony_killed_after(function, "lineage", "access", *approve)
        named = Trust.from_file(site.trust).log_verifier(f"{restored.covered.origin}-2") is not None
        has_key = (site.keys / "lineage-2.key").exists()
        left_behind[function] = (done.returncode, has_key, named, ledger_counts(site) == before)
    done = site.ceremony_killed_after("successor_open", "lineage", "access", *approve)
    states = dict(LogRecord.objects.values_list("name", "state"))
    opened = log_open("lineage", "access", *approve)
    fresh = record(name="fresh")
    record(event=AccessEvent.RECORD_VIEWED)
    site.settle()
    return Opened(
        left_behind=left_behind,
        after_one=(done.returncode, states),
        done=opened,
        again=log_open("lineage", "access", *approve),
        fresh=fresh,
    )


def test_only_a_frozen_log_has_a_successor(restored: Story) -> None:
    assert "lineage is active, not frozen" in restored.premature


def test_nothing_gets_a_place_before_the_signer_has_answered(frozen: Frozen) -> None:
    assert frozen.early_waited


def test_a_restored_database_freezes_with_a_reason_in_words(site: Site, frozen: Frozen) -> None:
    for log, reason in frozen.reasons.items():
        assert f"/{log}, and the database has" in reason
        assert "restored from an older backup" in reason
        assert str(site.home) not in reason  # anyone may read it
    assert frozen.published == []


def test_nothing_can_be_recorded_and_everybody_is_told_why(frozen: Frozen) -> None:
    problem = require_problem(frozen.posted, 503, "log_frozen")
    assert "lineage is frozen" in problem["detail"]
    assert "manage.py log_open lineage" in problem["detail"]
    assert (frozen.page.status_code, frozen.page["Content-Type"]) == (503, "text/html; charset=utf-8")
    words = frozen.page.content.decode()
    assert "<h1>Nothing can be recorded now</h1>" in words
    assert "access is frozen" in words
    assert frozen.readiness["status"] == "not ready"
    assert frozen.readiness["frozen"] == list(LOGS)
    assert "log lineage is frozen" in frozen.readiness["ledger"]


REFUSED = {
    "nobody": "it takes 2 different people",
    "one": "it takes 2 different people",
    "one twice": "it takes 2 different people",
    "no officer": "is not a compliance officer or model risk officer or privacy officer",
    "a superuser": "is not a compliance officer",
    "nobody's account": 'no account "nobody"',
    "a wrong password": "is missing or wrong",
    "an anchor away": "is it mounted?. What they know belongs into the record",
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_ceremony_is_refused_and_changes_nothing(frozen: Frozen, what: str) -> None:
    assert REFUSED[what] in frozen.refused[what]
    assert frozen.unchanged


@pytest.mark.parametrize("function", KILLS)
def test_a_ceremony_that_is_killed_has_changed_nothing_in_the_ledger(opened: Opened, function: str) -> None:
    assert opened.left_behind[function] == (-signal.SIGKILL, *KILLS[function], True)


def test_the_same_command_goes_on_and_opens_once(opened: Opened) -> None:
    assert opened.after_one == (
        -signal.SIGKILL,
        {"lineage": "sealed", "access": "frozen", "lineage-2": "active"},
    )
    assert [item["successor"].rpartition("/")[2] for item in opened.done] == ["access-2"]
    assert opened.again == []
    states = dict(LogRecord.objects.values_list("name", "state"))
    assert states == {"lineage": "sealed", "access": "sealed", "lineage-2": "active", "access-2": "active"}


def test_entry_0_tells_what_was_signed_left_and_lost(restored: Story, opened: Opened) -> None:
    successor = log_current(log_class="lineage")
    first = Event.from_bytes(bytes(Entry.objects.get(log="lineage-2", seq=0).bytes))
    told = Incarnation.from_event(first, origin=successor.origin)
    size = restored.covered.size
    assert (told.covered, told.note) == (restored.covered, restored.kept.read_text())
    # The event that waited and the one that came while the signer was away got places after the unsigned one.
    assert (told.restored.size, told.signed.size, told.lost) == (size + 3, size + 3, (size + 1, size + 3))
    assert told.reason == REASON
    assert [item.name for item in told.approvers] == [item.printed_name for item in restored.case.officers]
    sealings = Entry.objects.filter(event_type="log.sealed").order_by("body_id").values_list("log", "subject_id")
    origin = restored.covered.origin.rpartition("/")[0]
    assert list(sealings) == [("lineage-2", f"{origin}/lineage"), ("lineage-2", f"{origin}/access")]


def test_each_event_is_found_once_where_it_is_proven(restored: Story, frozen: Frozen, opened: Opened) -> None:
    events = (restored.signed, restored.unsigned, restored.waiting, frozen.early, opened.fresh)
    places = [(entry.log, entry.seq) for entry in (entry_get(event_id=name) for name in events)]
    assert places[0][0] == "lineage"
    assert places[1:4] == [("lineage-2", 1), ("lineage-2", 2), ("lineage-2", 3)]
    assert places[4][0] == "lineage-2"
    with pytest.raises(UnknownEntryError):
        entry_get(event_id=restored.lost)
    about = entries_of(subject_id=restored.case.decision.id, log="lineage", limit=10)
    assert {entry.log for entry in about} == {"lineage"}


def test_nothing_resumes_under_the_old_origin(site: Site, restored: Story, opened: Opened) -> None:
    assert checkpoint_latest(log="lineage").size == restored.covered.size
    with connect(site.database, "superuser") as connection, pytest.raises(RestrictViolation):
        connection.execute("UPDATE ledger.log SET state = 'active', proven = NULL WHERE name = 'lineage'")
    (site.home / "sequencer.log").write_text("")
    site.stop()
    site.start()
    again = record(name="again")
    site.settle()
    assert entry_get(event_id=again).log == "lineage-2"
    assert "frozen" not in site.told()
    assert checkpoint_latest(log="lineage").size == restored.covered.size


def test_old_and_new_proofs_verify(site: Site, restored: Story, frozen: Frozen, opened: Opened) -> None:
    proofs = [restored.proof]
    for event_id in (restored.signed, restored.waiting, frozen.early, opened.fresh):
        proofs.append(site.home / f"{event_id}.tlog-proof")
        proofs[-1].write_text(entry_proof(event_id=event_id).proof, encoding="utf-8")
    reports = verify_paths(proofs, trust_file=site.trust)
    assert [report.exit_code for report in reports] == [ExitCode.VERIFIED] * len(proofs)
    size = restored.covered.size
    assert consistency_proof(log="lineage", old_size=1, new_size=size)
    with pytest.raises(UnknownEntryError):
        consistency_proof(log="lineage", old_size=1, new_size=size + 1)


def test_the_api_gives_both_logs_as_they_are(restored: Story, opened: Opened) -> None:
    listed = require(restored.api.get("logs"), 200)["logs"]
    assert [(item["name"], item["state"], item["predecessor"]) for item in listed] == [
        ("lineage", "sealed", None),
        ("access", "sealed", None),
        ("lineage-2", "active", "lineage"),
        ("access-2", "active", "access"),
    ]
    old = restored.api.get("logs/lineage/tile/entries/000.p/3")
    assert (old.status_code, len(bundle_decode(old.content, 3))) == (200, 3)
    first = restored.api.get("logs/lineage-2/tile/entries/000.p/1")
    assert b"log.incarnation" in bundle_decode(first.content, 1)[0]
    assert require(restored.api.get("logs/lineage/checkpoint"), 200)["size"] == restored.covered.size


@pytest.mark.parametrize("log", ["lineage", "lineage-2", "access", "access-2"])
def test_each_log_can_be_exported_and_verified_alone(site: Site, opened: Opened, log: str, tmp_path: Path) -> None:
    call_command("ledger_export", log, str(tmp_path), stdout=StringIO(), stderr=StringIO())
    [report] = verify_paths([tmp_path], trust_file=site.trust)
    assert report.exit_code is ExitCode.VERIFIED, report.to_json()


def test_an_exported_successor_with_another_story_is_refused(site: Site, opened: Opened, tmp_path: Path) -> None:
    call_command("ledger_export", "lineage-2", str(tmp_path), stdout=StringIO(), stderr=StringIO())
    [tile] = (tmp_path / "tile" / "entries").glob("000.p/*")
    data = tile.read_bytes()
    tile.write_bytes(data.replace(b"at 01:40", b"at 02:40"))
    assert tile.read_bytes() != data
    [report] = verify_paths([tmp_path], trust_file=site.trust)
    assert report.exit_code is ExitCode.TAMPERED


@pytest.fixture(scope="module")
def issued(site: Site, restored: Story, opened: Opened) -> dict[DocumentKind, Path]:
    """A report and a bundle that were asked for after the ceremony about what was decided before the backup."""
    paths = {}
    for kind, execute in ((DocumentKind.REPORT, report_execute), (DocumentKind.BUNDLE, bundle_execute)):
        job = document_request(
            actor=restored.case.author,
            kind=kind,
            version=restored.case.version,
            environment=restored.case.environment,
            at=timezone.now(),
        )
        execute(job_id=job.id, clock=timezone.now)
        document = Document.objects.get(kind=kind)
        paths[kind] = site.home / ("report.pdf" if kind is DocumentKind.REPORT else "bundle.zip")
        with storages["artifacts"].open(document.path) as file:
            paths[kind].write_bytes(file.read())
    return paths


def test_report_and_bundle_hold_both_logs_and_verify_offline(site: Site, issued: dict[DocumentKind, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelnotary.cli", "verify", *issued.values(), "--trust", site.trust],
        cwd=site.home,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.VERIFIED, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert f"{REASON} (approved by" in told
    assert "lost the signed entries" in told


def test_who_kept_a_checkpoint_of_lost_entries_is_told_that_they_are_lost(
    site: Site, restored: Story, issued: dict[DocumentKind, Path]
) -> None:
    bundle = issued[DocumentKind.BUNDLE]
    [report] = verify_paths([bundle], trust_file=site.trust, checkpoint_file=restored.kept)
    assert report.exit_code is ExitCode.INCOMPLETE
    [told] = [check for check in report.checks if check.outcome is Outcome.MISSING]
    assert told.name == "kept checkpoint"
    [story] = [check for check in report.checks if check.name.endswith("predecessor")]
    assert "lost the signed entries" in story.detail


def test_the_database_verifies_over_all_incarnations(site: Site, opened: Opened) -> None:
    with connect(site.database, "auditor", autocommit=True) as connection:
        report = ledger_verify(connection, trust=Trust.from_file(site.trust))
    assert report.exit_code is ExitCode.VERIFIED, [item for item in report.checks if item.outcome is not Outcome.PASS]
    [told] = [check for check in report.checks if check.name == "successors"]
    assert "/lineage-2 follows" in told.detail


LIES: dict[str, tuple[str, str]] = {
    "hides proven entries": (
        "UPDATE ledger.log SET proven = proven - 1 WHERE name = 'lineage'",
        "is shown up to entry",
    ),
    "shows entries twice": (
        "UPDATE ledger.log SET proven = proven + 1 WHERE name = 'lineage'",
        "is shown up to entry",
    ),
    "follows nothing": ("UPDATE ledger.log SET predecessor = NULL WHERE name = 'lineage-2'", "does not fit"),
    "goes on under its old name": (
        "UPDATE ledger.log SET state = 'frozen', proven = NULL WHERE name = 'lineage'",
        "does not fit",
    ),
    "adds to the predecessor": (
        "UPDATE ledger.head SET size = size + 1 FROM ledger.log l WHERE l.log_id = head.log_id AND name = 'lineage'",
        "the database has others",
    ),
    "tells another story": (
        (
            "UPDATE ledger.body SET bytes = overlay(bytes PLACING '\\x30' FROM 30) WHERE id = (SELECT e.body_id "
            "FROM ledger.entry e JOIN ledger.log l USING (log_id) WHERE name = 'lineage-2' AND seq = 0)"
        ),
        "entry 0 of",
    ),
    "repeats something else": (
        (
            "UPDATE ledger.entry SET leaf = sha256('') FROM ledger.log l WHERE l.log_id = entry.log_id "
            "AND name = 'lineage-2' AND seq = 2"
        ),
        "is not repeated in",
    ),
    "has another proof of what is left": (
        (
            "UPDATE ledger.checkpoint SET root = sha256('') FROM ledger.log l WHERE l.log_id = checkpoint.log_id "
            "AND name = 'lineage' AND size = proven"
        ),
        "has no checkpoint of",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_database_that_says_something_else_than_entry_0_is_found_out(site: Site, opened: Opened, lie: str) -> None:
    statement, words = LIES[lie]
    trust = Trust.from_file(site.trust)
    with connect(site.database, "superuser") as connection:
        assert successors_check(connection, trust).outcome is Outcome.PASS
        with triggers_off(connection, "log", "head", "body", "entry", "checkpoint"):
            assert connection.execute(statement).rowcount == 1
        check = successors_check(connection, trust)
        connection.rollback()
    assert (check.outcome, words in check.detail) == (Outcome.FAIL, True), check.detail
