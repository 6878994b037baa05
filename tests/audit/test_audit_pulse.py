"""Health tells how far sequencer and signer are behind, and whether the ledger's guards stand."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import Database
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_driver import connect, event_append, event_bytes, head_sign, log_named, sequence_all

from audit.pulse import LogPulse, ledger_faults, log_pulses
from config.health import readyz
from modelnotary.ledger.note import NoteSigner


def lineage() -> LogPulse:
    return log_pulses()[0]


def health() -> dict[str, Any]:
    from django.test import RequestFactory

    answer: dict[str, Any] = json.loads(readyz(RequestFactory().get("/readyz")).content)
    return answer


@pytest.fixture
def signer(database: Database) -> NoteSigner:
    with connect(database, "auditor") as connection:
        return NoteSigner(log_named(connection, "lineage").origin, Ed25519PrivateKey.generate())


def test_an_event_ages_until_it_has_its_place_and_then_until_it_is_signed(
    database: Database, signer: NoteSigner
) -> None:
    assert lineage() == LogPulse("lineage", size=0, signed=0, queue_age=0, checkpoint_age=0)
    with connect(database, "app") as connection:
        for minutes in (10, 5):
            event_append(connection, event_bytes(at=datetime.now(UTC) - timedelta(minutes=minutes)))
    waiting = lineage()
    assert 600 <= waiting.queue_age < 660
    assert (waiting.size, waiting.checkpoint_age) == (0, 0)
    sequence_all(database)
    placed = lineage()
    assert (placed.size, placed.signed, placed.queue_age) == (2, 0, 0)
    assert 600 <= placed.checkpoint_age < 660
    assert 600 <= health()["logs"]["lineage"]["checkpoint_age"] < 660
    head_sign(database, signer)
    assert lineage() == LogPulse("lineage", size=2, signed=2, queue_age=0, checkpoint_age=0)
    assert health()["logs"] == {log: {"queue_age": 0.0, "checkpoint_age": 0.0} for log in ("lineage", "access")}


def test_a_guard_that_is_switched_off_makes_the_service_not_ready(database: Database) -> None:
    assert not ledger_faults()
    assert health()["ledger"] == "ok"
    with connect(database, "superuser", autocommit=True) as connection:
        connection.execute("ALTER TABLE ledger.entry_1_0 DISABLE TRIGGER append_only")
        assert ledger_faults() == ["trigger append_only of entry_1_0 is not enabled always, or was changed"]
        answer = health()
        assert (answer["status"], "append_only of entry_1_0" in answer["ledger"]) == ("not ready", True)
        connection.execute("ALTER TABLE ledger.entry_1_0 ENABLE ALWAYS TRIGGER append_only")
    assert not ledger_faults()


def test_a_connection_that_broke_is_told_once_and_replaced(database: Database) -> None:
    from django.db import close_old_connections

    assert health()["ledger"] == "ok"
    with connect(database, "superuser", autocommit=True) as superuser:
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mn_auditor'")
    assert "terminating connection" in health()["ledger"]
    close_old_connections()  # as at the beginning of each request
    assert health()["ledger"] == "ok"
