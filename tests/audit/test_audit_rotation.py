"""An order of two people is carried out by rotating the keys, wherever that is cut short, and a legal hold stops it."""

import threading
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from conftest import Database
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from ledger_driver import connect
from privacy_driver import ADA, AT, BEN, REASON, SYSTEM, access_record, erasure_order, migrating, rotate
from psycopg import sql

from audit import rotation
from audit.enums import ErasureBasis, ErasureState, HoldScope, Log
from audit.erasure import erasure_approve, erasure_cancel, erasure_request, hold_release, hold_set
from audit.errors import AuditError, ErasureError, LegalHoldError, SubjectKeysError
from audit.models import DataSubject, Entry, Erasure, LegalHold
from audit.personal import person_values
from audit.reconciliation import changes_reconcile
from audit.selectors import holds_blocking
from audit.subject_keys import key_ring_create, key_ring_read
from modelnotary.ledger.event import Event

PEOPLE = [f"patient-{number}" for number in range(8)]


@pytest.fixture
def people(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[str]]:
    """Several persons with three entries each, under a key file of this test's own."""
    with connect(database, "superuser") as superuser:
        superuser.execute("SET session_replication_role = replica")
        for table in ("erasure", "legalhold"):
            superuser.execute(f"ALTER TABLE audit_{table} DISABLE TRIGGER USER".encode())
            superuser.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(f"audit_{table}")))
            for trigger in ("guard", "guard_truncate", "capture_insert", "capture_update", "capture_delete"):
                superuser.execute(f"ALTER TABLE audit_{table} ENABLE ALWAYS TRIGGER {trigger}".encode())
        superuser.execute("DELETE FROM audit_datasubject; DELETE FROM audit_sealedvalue")
    monkeypatch.setattr(settings, "SUBJECT_KEYS_FILE", tmp_path / "keys" / "subject.kek")
    key_ring_create(settings.SUBJECT_KEYS_FILE)
    made: dict[str, list[str]] = {person: [] for person in PEOPLE}
    for _ in range(3):
        for person in PEOPLE:
            made[person].append(access_record(person))
    return made


def kept(person: str) -> list[str]:
    return [value.event_id for value in person_values(person=person)]


def told(subject_id: str) -> list[str]:
    """The types of the entries about an order, in order."""
    bodies = Entry.objects.order_by("body_id").values_list("bytes", flat=True)
    events = [Event.from_bytes(bytes(body)) for body in bodies]
    return [event.type for event in events if event.subject.id == subject_id]


def test_an_erasure_forgets_one_person_and_nobody_else(database: Database, people: dict[str, list[str]]) -> None:
    order = erasure_order("patient-3")
    assert kept("patient-3") == people["patient-3"]
    done = rotate(database)
    assert (done.erased, done.destroyed, done.current, done.persons) == ((order.pk,), (1,), 2, 7)
    assert (done.held, done.unproven, done.waiting) == ((), (), ())
    assert {person: kept(person) for person in PEOPLE} == people | {"patient-3": []}
    assert list(key_ring_read(settings.SUBJECT_KEYS_FILE).generations) == [2]
    assert set(DataSubject.objects.values_list("generation", flat=True)) == {2}
    order.refresh_from_db()
    assert (order.state, order.person) == (ErasureState.ERASED, None)
    assert told(order.pk) == ["privacy.erasure_requested", "privacy.erasure_approved", "privacy.erased"]
    with connect(database, "auditor") as auditor:
        assert [one for one in changes_reconcile(auditor).unattributed if "audit_" in str(one.changes)] == []


def test_somebody_forgotten_who_comes_back_is_a_new_person(database: Database, people: dict[str, list[str]]) -> None:
    erasure_order("patient-3")
    rotate(database)
    again = access_record("patient-3")
    assert kept("patient-3") == [again]
    rotate(database)
    assert kept("patient-3") == [again]
    assert kept("patient-4") == people["patient-4"]


class KilledError(Exception):
    pass


STEPS = ("settle", "add", "wait", "wrap 0", "wrap 3", "wrap 6", "commit", "destroy", "after destroy", "end")


def kill_at(step: str, patch: pytest.MonkeyPatch) -> None:
    """Have the next rotation end at a step, as if killed: nothing after it runs, an open transaction is lost."""
    inner = {"settle": "_settle", "add": "generation_add", "wait": "_wait_for_makers", "commit": "_commit"}

    def killed(*_: object, **__: object) -> None:
        raise KilledError(step)

    if step in inner:
        patch.setattr(rotation, inner[step], killed)
    elif step == "destroy":
        patch.setattr(rotation, "generation_destroy", killed)
    elif step == "after destroy":
        patch.setattr(rotation, "_end", killed)
    elif step == "end":
        patch.setattr(rotation, "_erased", killed)
    else:
        wrap, calls = rotation._wrap, [0]

        def wrap_some(*arguments: object) -> int:
            if calls[0] * 3 == int(step.split()[1]):
                raise KilledError(step)
            calls[0] += 1
            return wrap(*arguments)  # type: ignore[arg-type]

        patch.setattr(rotation, "_wrap", wrap_some)


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_killed_at_any_step_is_run_again_and_ends(
    database: Database, people: dict[str, list[str]], step: str
) -> None:
    order = erasure_order("patient-3")
    with pytest.MonkeyPatch.context() as patch:
        kill_at(step, patch)
        with pytest.raises(KilledError):
            rotate(database)
    # Work goes on meanwhile, for somebody known and somebody new.
    others = people | {"patient-4": [*people["patient-4"], access_record("patient-4")]}
    others["new"] = [access_record("new")]
    if step not in {"after destroy", "end"}:
        assert kept("patient-3") == people["patient-3"]
    done = rotate(database)
    assert done.erased == (order.pk,)
    assert {person: kept(person) for person in others} == others | {"patient-3": []}
    assert set(key_ring_read(settings.SUBJECT_KEYS_FILE).generations) == {2}
    assert set(DataSubject.objects.values_list("generation", flat=True)) == {2}
    assert told(order.pk).count("privacy.erased") == 1


def test_writers_go_on_while_the_keys_are_rotated(database: Database, people: dict[str, list[str]]) -> None:
    written: list[tuple[str, str]] = []
    failures: list[Exception] = []
    stop, ready = threading.Event(), threading.Barrier(4)

    def write(number: int) -> None:
        turn = 0
        try:
            # Connected as the application, before this process's settings name the owner.
            connection.ensure_connection()
            ready.wait()
            while not stop.is_set() or turn < 4:
                person = f"patient-{turn % 8}" if turn % 2 or turn > 20 else f"new-{turn // 4}-{number % 2}"
                written.append((person, access_record(person)))
                turn += 1
                stop.wait(0.02)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to see it
            failures.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    ready.wait()
    for _ in range(2):
        rotate(database)
    stop.set()
    for writer in writers:
        writer.join()
    assert failures == []
    for person in {name for name, _ in written} | set(PEOPLE):
        expected = people.get(person, []) + [event_id for name, event_id in written if name == person]
        assert kept(person) == sorted(expected)


# --- Two people -------------------------------------------------------------------------------------------------------
def ask(person: str = "patient-3", reason: str = REASON) -> Erasure:
    return erasure_request(actor=ADA, person=person, basis=ErasureBasis.GDPR_17_1_B, reason=reason, at=AT)


def test_who_asked_cannot_approve_and_both_must_mean_the_same_person(people: dict[str, list[str]]) -> None:
    asked = ask()
    with pytest.raises(ErasureError, match="another person has to approve"):
        erasure_approve(actor=ADA, erasure_id=asked.pk, person="patient-3", at=AT)
    with pytest.raises(ErasureError, match="another person than the one given"):
        erasure_approve(actor=BEN, erasure_id=asked.pk, person="patient-4", at=AT)
    assert erasure_approve(actor=BEN, erasure_id=asked.pk, person="patient-3", at=AT).state == ErasureState.APPROVED
    with pytest.raises(ErasureError, match="cannot be approved"):
        erasure_approve(actor=BEN, erasure_id=asked.pk, person="patient-3", at=AT)


@pytest.mark.parametrize(
    ("person", "reason", "words"),
    [
        ("patient-3", "Patient-3 has asked us to forget everything.", "holds the person's identifier"),
        ("nobody", REASON, "nothing is kept"),
    ],
)
def test_a_request_that_would_be_wrong_for_ever_is_refused(
    people: dict[str, list[str]], person: str, reason: str, words: str
) -> None:
    with pytest.raises(ErasureError, match=words):
        ask(person, reason)
    assert Erasure.objects.count() == 0


def test_one_person_is_asked_for_once_and_a_cancelled_order_frees_them(people: dict[str, list[str]]) -> None:
    asked = ask()
    with pytest.raises(ErasureError, match=asked.pk):
        ask()
    erasure_cancel(actor=BEN, erasure_id=asked.pk, reason="It was another person of the same name.", at=AT)
    assert told(asked.pk) == ["privacy.erasure_requested", "privacy.erasure_cancelled"]
    assert ask().pk != asked.pk


def test_two_who_approve_at_once_have_one_outcome(people: dict[str, list[str]]) -> None:
    asked = ask()
    start, outcomes = threading.Barrier(4), []

    def approve() -> None:
        start.wait()
        try:
            erasure_approve(actor=BEN, erasure_id=asked.pk, person="patient-3", at=AT)
            outcomes.append("approved")
        except ErasureError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=approve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "refused", "refused", "refused"]
    assert told(asked.pk).count("privacy.erasure_approved") == 1


SHORTCUTS = {
    "approves one's own": "UPDATE audit_erasure SET state = 'approved', approved_by = requested_by, "
    "approved_at = now(), approval_event = 'evt'",
    "approves without anybody": "UPDATE audit_erasure SET state = 'approved'",
    "skips the approval": "UPDATE audit_erasure SET state = 'erased', approved_by = 'x', approved_at = now(), "
    "approval_event = 'evt'",
    "changes who asked": "UPDATE audit_erasure SET requested_by = 'somebody'",
    "changes the ground": "UPDATE audit_erasure SET basis = 'gdpr-5-1-e'",
    "names a ground of its own": "UPDATE audit_erasure SET basis = 'because'",
    "begins approved": "INSERT INTO audit_erasure SELECT 'ers_x', 'approved', basis, reason, person, requested_by, "
    "requested_at, request_event, 'usr_x', now(), 'evt', NULL, false FROM audit_erasure",
    "releases a hold without a name": "UPDATE audit_legalhold SET released_at = now()",
    "empties a hold": "UPDATE audit_legalhold SET person = NULL WHERE scope = 'person'",
    "moves a hold to another log": "UPDATE audit_legalhold SET log = 'lineage' WHERE scope = 'log'",
}


@pytest.mark.parametrize("how", SHORTCUTS)
def test_the_database_refuses_a_shortcut_past_the_second_person(
    database: Database, people: dict[str, list[str]], how: str
) -> None:
    ask()
    hold_set(actor=ADA, person="patient-5", log=None, matter="M-1", reason=REASON, at=AT)
    hold_set(actor=ADA, person=None, log=Log.ACCESS, matter="M-2", reason=REASON, at=AT)
    for role in ("app", "migrator"):
        with (
            connect(database, role) as connection,
            pytest.raises(psycopg.IntegrityError),
        ):
            connection.execute(SHORTCUTS[how].encode())


def test_an_approval_written_by_raw_sql_is_not_carried_out_and_is_named(
    database: Database, people: dict[str, list[str]]
) -> None:
    asked = ask()
    with connect(database, "app") as connection:
        connection.execute(
            "UPDATE audit_erasure SET state = 'approved', approved_by = 'usr_ben', approved_at = now(), "
            "approval_event = request_event"
        )
    done = rotate(database)
    assert (done.erased, done.unproven) == ((), (asked.pk,))
    assert kept("patient-3") == people["patient-3"]
    with connect(database, "auditor") as auditor:
        found = changes_reconcile(auditor).unattributed
    assert (f"UPDATE audit_erasure {asked.pk}",) in [one.changes for one in found]


# --- Holds ------------------------------------------------------------------------------------------------------------
def test_a_hold_forbids_to_ask_to_approve_and_to_carry_out(database: Database, people: dict[str, list[str]]) -> None:
    on_person = hold_set(actor=ADA, person="patient-3", log=None, matter="M-17", reason=REASON, at=AT)
    with pytest.raises(LegalHoldError, match="M-17"):
        ask()
    assert ask("patient-4").state == ErasureState.REQUESTED
    hold_release(actor=BEN, hold_id=on_person.pk, reason="The matter was settled out of court.", at=AT)
    asked = ask()
    second = hold_set(actor=ADA, person="patient-3", log=None, matter="M-18", reason=REASON, at=AT)
    with pytest.raises(LegalHoldError, match="M-18"):
        erasure_approve(actor=BEN, erasure_id=asked.pk, person="patient-3", at=AT)
    hold_release(actor=BEN, hold_id=second.pk, reason="The matter was settled out of court.", at=AT)
    erasure_approve(actor=BEN, erasure_id=asked.pk, person="patient-3", at=AT)
    third = hold_set(actor=ADA, person="patient-3", log=None, matter="M-19", reason=REASON, at=AT)
    assert rotate(database).held == (asked.pk,)
    assert kept("patient-3") == people["patient-3"]
    # The hold has outlived the generation that it was written under.
    assert [hold.pk for hold in holds_blocking(person="patient-3")] == [third.pk]
    hold_release(actor=BEN, hold_id=third.pk, reason="The matter was settled out of court.", at=AT)
    assert rotate(database).erased == (asked.pk,)
    assert kept("patient-3") == []
    assert told(third.pk) == ["hold.set", "hold.released"]
    assert LegalHold.objects.exclude(person=None).count() == 0


def test_a_hold_set_while_the_keys_are_being_wrapped_is_in_time_and_one_set_after_is_told_so(
    database: Database, people: dict[str, list[str]]
) -> None:
    first, second = erasure_order("patient-3"), erasure_order("patient-4")

    def tell(step: str, done: int, _total: int) -> None:
        if step == "wrap" and done == 3:
            hold_set(actor=ADA, person="patient-3", log=None, matter="M-20", reason=REASON, at=AT)
        if step == "destroy":
            with pytest.raises(LegalHoldError, match=second.pk):
                hold_set(actor=ADA, person="patient-4", log=None, matter="M-21", reason=REASON, at=AT)
            hold_set(actor=ADA, person="patient-5", log=None, matter="M-22", reason=REASON, at=AT)

    done = rotate(database, tell)
    assert (done.erased, done.held) == ((second.pk,), (first.pk,))
    assert (kept("patient-3"), kept("patient-4")) == (people["patient-3"], [])


@pytest.mark.parametrize("log", Log)
def test_a_hold_on_a_log_forbids_every_erasure_and_its_own_pruning(people: dict[str, list[str]], log: Log) -> None:
    other = next(one for one in Log if one != log)
    hold = hold_set(actor=ADA, person=None, log=log, matter="M-30", reason=REASON, at=AT)
    assert (hold.scope, hold.log) == (HoldScope.LOG, log)
    with pytest.raises(LegalHoldError, match="M-30"):
        ask()
    assert [one.pk for one in holds_blocking(log=log)] == [hold.pk]
    assert holds_blocking(log=other) == []


def test_a_hold_on_a_person_forbids_to_prune_any_log(people: dict[str, list[str]]) -> None:
    hold = hold_set(actor=ADA, person="patient-3", log=None, matter="M-40", reason=REASON, at=AT)
    assert [[one.pk for one in holds_blocking(log=log)] for log in Log] == [[hold.pk], [hold.pk]]
    with pytest.raises(LegalHoldError, match="one person or on one log"):
        hold_set(actor=ADA, person="patient-3", log=Log.ACCESS, matter="M-41", reason=REASON, at=AT)


# --- What stands in the way of a rotation -----------------------------------------------------------------------------
def test_an_old_copy_of_the_key_file_is_refused_by_the_rotation_and_by_writers(
    database: Database, people: dict[str, list[str]]
) -> None:
    path: Path = settings.SUBJECT_KEYS_FILE
    old = path.read_bytes()
    rotate(database)
    path.write_bytes(old)
    with pytest.raises(ErasureError, match="old copy"):
        rotate(database)
    with pytest.raises(SubjectKeysError, match="old copy"):
        access_record("somebody new")


def test_a_database_restored_from_before_the_last_rotation_loses_no_row(
    database: Database, people: dict[str, list[str]]
) -> None:
    rows = list(DataSubject.objects.values_list("lookup", "generation", "wrapped_key"))
    rotate(database)
    with connect(database, "migrator") as owner:
        owner.execute("DELETE FROM audit_datasubject")
        owner.cursor().executemany(
            "INSERT INTO audit_datasubject (lookup, generation, wrapped_key) VALUES (%s, %s, %s)",
            [(bytes(lookup), generation, bytes(wrapped)) for lookup, generation, wrapped in rows],
        )
    with pytest.raises(ErasureError, match="restored from a backup older"):
        rotate(database)
    assert DataSubject.objects.count() == len(PEOPLE)


def test_the_application_cannot_rotate_and_two_do_not_rotate_at_once(
    database: Database, people: dict[str, list[str]]
) -> None:
    with pytest.raises(AuditError, match="DJANGO_DATABASE_ROLE"):
        rotation.subject_keys_rotate(actor=SYSTEM, at=AT)

    def again(step: str, _done: int, _total: int) -> None:
        if step == "begin":
            with pytest.raises(SubjectKeysError, match="another process"):
                rotation.subject_keys_rotate(actor=SYSTEM, at=AT)

    assert rotate(database, again).current == 2


def test_the_command_says_what_it_did_and_refuses_while_the_former_key_is_there(
    database: Database, people: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SUBJECT_KEK", "")
    order = erasure_order("patient-3")
    out, progress = StringIO(), StringIO()
    with migrating(database), pytest.raises(SystemExit) as end:
        call_command("subject_keys_rotate", stdout=out, stderr=progress)
    assert end.value.code == 0
    assert f"erased: {order.pk}" in out.getvalue()
    assert progress.getvalue().startswith("begin")
    monkeypatch.setattr(settings, "SUBJECT_KEK", "00" * 32)
    with pytest.raises(CommandError, match="SUBJECT_KEK is still set"):
        call_command("subject_keys_rotate")


def test_an_order_that_fails_leaves_neither_row_nor_entry(people: dict[str, list[str]]) -> None:
    before = Entry.objects.count()
    with transaction.atomic():
        ask()
        transaction.set_rollback(True)
    assert (Erasure.objects.count(), Entry.objects.count()) == (0, before)
