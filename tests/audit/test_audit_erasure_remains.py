"""What is left of a forgotten person in the tables and in the write-ahead log, for whoever holds every key that exists.

Each attempt succeeds on the person who was not forgotten, or with the key that was destroyed: it can succeed.
"""

import base64
from dataclasses import dataclass

import psycopg
import pytest
from conftest import Database
from django.conf import settings
from ledger_driver import connect, one
from privacy_driver import access_record, erasure_order, rotate
from psycopg import sql

from audit.errors import ErasedError
from audit.models import DataSubject
from audit.subject_keys import KeyRing, key_ring_create, key_ring_read

FORGOTTEN, KEPT = "patient-forgotten-7f3a91", "patient-kept-51c2e8"
# src/include/access/xlog_internal.h: each page of a segment begins with a header, the first one with a longer one.
PAGE, HEADER, FIRST_HEADER = 8192, 24, 40


@dataclass(frozen=True)
class Remains:
    """What an attacker has.

    Attributes:
        tables: Every row of every table, as text.
        wal: The write-ahead log since before the first event, without the headers of its pages.
        destroyed: The key file as it was before; what an attacker must not have.
        keys: The key file as it is.
        wrapped: The row of each person in `audit_datasubject` before: lookup, generation, wrapped key.
    """

    tables: str
    wal: bytes
    destroyed: KeyRing
    keys: KeyRing
    wrapped: dict[str, tuple[bytes, int, bytes]]

    def opens(self, ring: KeyRing, person: str) -> bool:
        """Whether a key file opens the person's wrapped key that lies in the write-ahead log."""
        lookup, generation, wrapped = self.wrapped[person]
        assert wrapped in self.wal
        try:
            return ring.unwrap(generation, wrapped, lookup)[1] == person
        except ErasedError:
            return False

    def recognised(self, ring: KeyRing, person: str) -> bool:
        """Whether somebody who guesses the identifier finds a row of that person."""
        return any(ring.lookup(generation, person) in self.wal for generation in ring.generations)


def tables_read(connection: psycopg.Connection) -> str:
    names = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'ledger')"
    ).fetchall()
    statement = sql.SQL("SELECT coalesce(string_agg(t::text, chr(10)), '') FROM {} t")
    return "\n".join(one(connection, statement.format(sql.Identifier(*name)).as_string()) for name in names)


def wal_read(connection: psycopg.Connection, first: str) -> bytes:
    segments = connection.execute(
        "SELECT pg_read_binary_file('pg_wal/' || name) FROM pg_ls_waldir() "
        "WHERE name BETWEEN %s AND pg_walfile_name(pg_current_wal_insert_lsn()) ORDER BY name",
        (first,),
    ).fetchall()
    return b"".join(
        segment[at + (HEADER if at else FIRST_HEADER) : at + PAGE]
        for (segment,) in segments
        for at in range(0, len(segment), PAGE)
    )


@pytest.fixture(scope="module")
def remains(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Remains:
    with connect(database, "superuser", autocommit=True) as superuser, pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("keys") / "subject.kek"
        patch.setattr(settings, "SUBJECT_KEYS_FILE", path)
        first = one(superuser, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
        destroyed = key_ring_create(path)
        wrapped = {}
        for person in (FORGOTTEN, KEPT):
            for _ in range(3):
                access_record(person)
            row = DataSubject.objects.get(lookup=destroyed.lookup(destroyed.current, person))
            wrapped[person] = (bytes(row.lookup), row.generation, bytes(row.wrapped_key))
        erasure_order(FORGOTTEN)
        rotate(database)
        return Remains(tables_read(superuser), wal_read(superuser, first), destroyed, key_ring_read(path), wrapped)


@pytest.mark.parametrize("person", [FORGOTTEN, KEPT])
def test_nobodys_identifier_lies_anywhere_in_plain(remains: Remains, person: str) -> None:
    text = person.encode()
    forms = (text, text.hex().encode(), base64.b64encode(text)[:-4], text[::-1])
    assert not [form for form in forms if form in remains.wal or form.decode() in remains.tables]
    assert b"Pat Example" in remains.wal
    assert b"Pat Example".hex() in remains.tables


def test_the_wrapped_key_in_the_write_ahead_log_opens_with_no_key_that_exists(remains: Remains) -> None:
    assert not remains.opens(remains.keys, FORGOTTEN)
    assert remains.opens(remains.destroyed, FORGOTTEN), "this attempt could not have succeeded"


def test_whoever_guesses_the_identifier_recognises_nothing(remains: Remains) -> None:
    assert not remains.recognised(remains.keys, FORGOTTEN)
    assert remains.recognised(remains.keys, KEPT)
    assert remains.recognised(remains.destroyed, FORGOTTEN)


def test_no_two_rows_about_the_person_share_anything_but_what_all_rows_share(
    database: Database, remains: Remains
) -> None:
    assert len(remains.wrapped) == 2
    with connect(database, "superuser") as connection:
        rows = connection.execute("SELECT event_id, tag, ciphertext, xmin::text FROM audit_sealedvalue").fetchall()
    assert len(rows) == 6
    for column in range(4):
        assert len({bytes(row[column]) if column in (1, 2) else row[column] for row in rows}) == len(rows)
