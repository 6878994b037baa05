"""The database is held against its own bytes and against what was signed: every edit is found, and where."""

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from database_attacks import ATTACKS, DatabaseAttack, attack_run, attacked
from django.db import connections
from ledger_driver import connect, events_append, events_append_many, head_sign, log_named, sequence_all

from audit.errors import UnknownEntryError
from audit.verification import ledger_verify
from config.embedded import EmbeddedServices
from modelnotary.ledger.log_keys import LogKeys
from modelnotary.ledger.note import NoteSigner
from modelnotary.verify.result import ExitCode, VerificationReport
from modelnotary.verify.trust import Trust


@dataclass(frozen=True)
class Signed:
    """A database whose logs are signed, and the keys to check it with."""

    database: Database
    trust: Trust

    def verify(self) -> VerificationReport:
        with connect(self.database, "auditor", autocommit=True) as connection:
            return ledger_verify(connection, trust=self.trust)


@pytest.fixture(scope="module")
def signed(database: Database) -> Signed:
    """Four thousand entries in three signed stretches, 40 more unsigned ones, 5 that wait; a few in the other log."""
    with connect(database, "auditor") as connection:
        origins = {name: log_named(connection, name).origin for name in ("lineage", "access")}
    signers = {name: NoteSigner(origin, Ed25519PrivateKey.generate()) for name, origin in origins.items()}
    for count in (700, 1, 3299):
        events_append_many(database, count)
        sequence_all(database)
        head_sign(database, signers["lineage"])
    events_append(database, 40)
    sequence_all(database)
    events_append(database, 5)
    events_append(database, 3, log="access")
    sequence_all(database, log="access")
    head_sign(database, signers["access"], log="access")
    instance = origins["lineage"].removesuffix("/lineage")
    return Signed(database, Trust(instance, tuple(LogKeys.of(signer.verifier) for signer in signers.values()), (), ()))


def test_a_clean_ledger_gives_no_alarm(signed: Signed) -> None:
    report = signed.verify()
    assert [check for check in report.checks if check.outcome != "pass"] == []
    assert report.exit_code is ExitCode.VERIFIED
    assert len(report.checks) == 2 * 10 + 4


@pytest.mark.parametrize("name", ATTACKS)
def test_an_edit_that_only_a_superuser_can_make_is_found_and_where(
    signed: Signed, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.verification.STRETCH", 512)
    attack = ATTACKS[name]
    with attacked(signed.database, attack) as connection:
        report = ledger_verify(connection, trust=signed.trust)
    failures_check(report, attack)


def failures_check(report: VerificationReport, attack: DatabaseAttack) -> None:
    failed = {check.name: check.span for check in report.checks if check.outcome == "fail"}
    assert report.exit_code is ExitCode.TAMPERED
    assert failed.get(attack.check, "not found") == attack.span
    # Nothing is blamed that stands before the first bad entry.
    assert attack.span is None or min(span for span in failed.values() if span)[0] >= min(attack.span[0], 701)


# At the last entry of a stretch, and at the first one of the next, which takes the chain up from there.
@pytest.mark.parametrize("index", [1535, 1536])
@pytest.mark.parametrize(
    ("check", "statement"),
    {
        "chain": "UPDATE ledger.entry SET chain = sha256('x') WHERE log_id = 1 AND seq = {}",
        "bodies": "UPDATE ledger.entry SET leaf = sha256('x') WHERE log_id = 1 AND seq = {}",
        "order": "DELETE FROM ledger.entry WHERE log_id = 1 AND seq = {}",
        "search columns": "DELETE FROM ledger.projection WHERE log_id = 1 AND seq = {}",
    }.items(),
)
def test_what_is_wrong_at_the_edge_of_a_stretch_is_found_there(
    signed: Signed, check: str, statement: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.verification.STRETCH", 512)
    attack = DatabaseAttack((statement.format(index),), f"lineage: {check}", (index, index + 1))
    with attacked(signed.database, attack) as connection:
        failures_check(ledger_verify(connection, trust=signed.trust), attack)


TWICE = {
    "bodies": (
        "ALTER TABLE ledger.body_1_0 DROP CONSTRAINT body_1_0_pkey",
        "INSERT INTO ledger.body SELECT body_id, 1, 'evt_other', 'x,' FROM ledger.entry WHERE seq = 1500",
    ),
    "search columns": (
        "ALTER TABLE ledger.projection DROP CONSTRAINT projection_pkey",
        "INSERT INTO ledger.projection SELECT 1, seq, body_id FROM ledger.entry WHERE seq = 1500",
    ),
}


@pytest.mark.parametrize("check", TWICE)
def test_a_row_added_beside_the_right_one_is_found(signed: Signed, check: str) -> None:
    attack = DatabaseAttack(TWICE[check], f"lineage: {check}", (1500, 1501))
    with attacked(signed.database, attack) as connection:
        failures_check(ledger_verify(connection, trust=signed.trust), attack)


# A process of its own does not see what is not committed: these attacks are, in a copy of the database.
@pytest.mark.parametrize(
    "name",
    [
        "bit flip in a body",
        "bit flip in a chain link",
        "entry deleted",
        "tail cut off",
        "body edited and everything recomputed",
        "head claims more",
        "search column at edited, bytes intact",
        "waiting event suppressed",
        "partition of bodies truncated",
        "partition dropped",
    ],
)
def test_many_processes_find_what_one_does(
    signed: Signed, cluster: EmbeddedServices, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.verification.STRETCH", 512)
    attack, copy = ATTACKS[name], f"{signed.database.name}_copy"
    connections.close_all()
    cluster.create_database(copy, signed.database.name)
    try:
        database = Database(copy, cluster.environment(copy), cluster.superuser_url(copy))
        with connect(database, "superuser") as connection:
            attack_run(connection, attack)
        with connect(database, "auditor", autocommit=True) as connection:
            report = ledger_verify(connection, trust=signed.trust, workers=2)
            assert report == ledger_verify(connection, trust=signed.trust, workers=1)
        failures_check(report, attack)
    finally:
        cluster.drop_database(copy)


def test_many_processes_see_one_state_of_a_ledger_that_goes_on(signed: Signed) -> None:
    def goes_on(log: str, done: int, size: int) -> None:
        events_append(signed.database, 3, log="access")
        sequence_all(signed.database, log="access")

    with connect(signed.database, "auditor", autocommit=True) as connection:
        report = ledger_verify(connection, trust=signed.trust, workers=2, progress=goes_on)
    assert [check for check in report.checks if check.outcome == "fail"] == []
    assert next(check.detail for check in report.checks if check.name == "access: order") == "3 entries without a gap"


def test_without_keys_or_signatures_the_evidence_is_incomplete(signed: Signed, tmp_path: Path) -> None:
    with connect(signed.database, "auditor", autocommit=True) as connection:
        report = ledger_verify(connection, trust=None)
    assert report.exit_code is ExitCode.INCOMPLETE
    assert {check.name for check in report.checks if check.outcome == "missing"} == {
        "lineage: signatures",
        "access: signatures",
    }


def test_another_key_for_the_same_log_is_refused(signed: Signed) -> None:
    other = NoteSigner(signed.trust.logs[0].name, Ed25519PrivateKey.generate()).verifier
    trust = Trust(signed.trust.instance, (LogKeys.of(other), signed.trust.logs[1]), (), ())
    with connect(signed.database, "auditor", autocommit=True) as connection:
        report = ledger_verify(connection, trust=trust)
    assert [check.name for check in report.checks if check.outcome == "fail"] == ["lineage: signatures"]


def test_only_the_named_log_is_read_and_progress_is_told(signed: Signed) -> None:
    told: list[tuple[str, int, int]] = []
    with connect(signed.database, "auditor", autocommit=True) as connection:
        report = ledger_verify(
            connection, trust=signed.trust, logs=["lineage"], progress=lambda *step: told.append(step)
        )
        assert {check.name.split(":")[0] for check in report.checks} == {
            "lineage",
            "anchors",
            "retention",
            "successors",
            "guards",
        }
        assert told == [("lineage", 4040, 4040)]
        with pytest.raises(UnknownEntryError):
            ledger_verify(connection, trust=signed.trust, logs=["elsewhere"])


@pytest.fixture
def trust_file(signed: Signed, tmp_path: Path) -> Path:
    path = tmp_path / "trust.json"
    path.write_bytes(signed.trust.to_bytes())
    return path


def command(*arguments: str) -> tuple[int, str]:
    """Run the command as an operator would; give its exit code and what it printed."""
    from django.core.management import CommandError, call_command

    out = StringIO()
    with pytest.raises((SystemExit, CommandError)) as end:
        call_command("ledger_verify", *arguments, stdout=out, stderr=StringIO())
    if isinstance(end.value, CommandError):
        return end.value.returncode, str(end.value)
    assert isinstance(end.value, SystemExit)
    return int(end.value.code or 0), out.getvalue()


def test_the_command_ends_with_its_verdict(signed: Signed, trust_file: Path, tmp_path: Path) -> None:
    code, text = command("--trust", str(trust_file))
    assert (code, text.splitlines()[-1]) == (0, "verdict: verified")
    code, text = command("--trust", str(trust_file), "--json", "--log", "access")
    assert (code, json.loads(text)["verdict"]) == (0, "verified")
    (tmp_path / "empty.json").write_bytes(Trust(signed.trust.instance, (), (), ()).to_bytes())
    assert command("--trust", str(tmp_path / "empty.json"))[0] == 2
    assert command("--trust", str(tmp_path / "absent.json"))[0] == 3
    assert command("--log", "elsewhere", "--trust", str(trust_file))[0] == 3
