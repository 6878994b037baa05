"""The database is held against its own bytes and against what was signed: every edit is found, and where."""

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from database_attacks import ATTACKS, attacked
from ledger_driver import connect, events_append, events_append_many, head_sign, log_named, sequence_all

from audit.errors import UnknownEntryError
from audit.verification import ledger_verify
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
def test_an_edit_that_only_a_superuser_can_make_is_found_and_where(signed: Signed, name: str) -> None:
    attack = ATTACKS[name]
    with attacked(signed.database, attack) as connection:
        report = ledger_verify(connection, trust=signed.trust)
    failed = {check.name: check.span for check in report.checks if check.outcome == "fail"}
    assert report.exit_code is ExitCode.TAMPERED
    assert failed.get(attack.check, "not found") == attack.span
    # Nothing is blamed that stands before the first bad entry.
    assert attack.span is None or min(span for span in failed.values() if span)[0] >= min(attack.span[0], 701)


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
