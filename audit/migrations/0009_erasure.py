"""Sealed values without any link between those of one person; erasures and legal holds.

What was sealed before under SUBJECT_KEK is opened with it and sealed anew under the key file. SUBJECT_KEK is then to be
removed: old dumps and the old WAL hold keys wrapped under it.
"""

import hashlib
import hmac
from functools import partial
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

from audit.enums import ErasureBasis, ErasureState, HoldScope, Log
from audit.subject_keys import SubjectKey, key_ring_create
from modelnotary.ids import new_id

NEW_VALUES = """
ALTER TABLE audit_sealedvalue RENAME TO audit_sealedvalue_before;
CREATE TABLE audit_sealedvalue (
  event_id    text NOT NULL,
  name        text NOT NULL,
  tag         bytea NOT NULL,
  ciphertext  bytea NOT NULL
);
"""
OLD_VALUES_GONE = """
DROP TABLE audit_sealedvalue_before;
ALTER TABLE audit_sealedvalue ADD CONSTRAINT sealed_value_once PRIMARY KEY (event_id, name);
"""

# Keys are destroyed by who rotates them, as the owner; sealed values never change.
RIGHTS = """
REVOKE UPDATE, DELETE ON audit_datasubject, audit_sealedvalue FROM mn_app;
REVOKE DELETE ON audit_erasure, audit_legalhold FROM mn_app;
"""

GUARDS = """
-- An erasure goes forward only: asked for, approved by another, carried out. What was asked for never changes.
CREATE FUNCTION audit_erasure_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
    RAISE EXCEPTION 'the orders of erasures are never removed' USING ERRCODE = 'restrict_violation';
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'requested' OR NEW.approved_by IS NOT NULL OR NEW.rotation IS NOT NULL OR NEW.irrevocable THEN
      RAISE EXCEPTION 'erasure %: it begins as a request', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.id, NEW.basis, NEW.reason, NEW.requested_by, NEW.requested_at, NEW.request_event)
     IS DISTINCT FROM (OLD.id, OLD.basis, OLD.reason, OLD.requested_by, OLD.requested_at, OLD.request_event)
     OR (OLD.state <> 'requested' AND (NEW.approved_by, NEW.approved_at, NEW.approval_event)
         IS DISTINCT FROM (OLD.approved_by, OLD.approved_at, OLD.approval_event))
     OR (OLD.irrevocable AND NOT NEW.irrevocable) THEN
    RAISE EXCEPTION 'erasure %: what was ordered, and by whom, never changes', OLD.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
       ('requested', 'approved'), ('requested', 'cancelled'), ('approved', 'cancelled'), ('approved', 'erased'))
     OR (NEW.state = 'erased' AND OLD.state <> 'erased' AND NOT OLD.irrevocable)
     OR (NEW.state = 'cancelled' AND OLD.state <> 'cancelled' AND OLD.rotation IS NOT NULL) THEN
    RAISE EXCEPTION 'erasure %: it cannot go from % to %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- A hold is released once, and nothing else of it changes but how the person is sealed.
CREATE FUNCTION audit_legalhold_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
    RAISE EXCEPTION 'legal holds are never removed; release them' USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.scope, NEW.log, NEW.matter, NEW.reason, NEW.set_by, NEW.set_at)
     IS DISTINCT FROM (OLD.id, OLD.scope, OLD.log, OLD.matter, OLD.reason, OLD.set_by, OLD.set_at)
     OR (OLD.released_at IS NOT NULL AND NEW IS DISTINCT FROM OLD)
     OR (NEW.released_at IS NULL) <> (NEW.released_by IS NULL) THEN
    RAISE EXCEPTION 'hold %: it can only be released, once', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON audit_erasure
  FOR EACH ROW EXECUTE FUNCTION audit_erasure_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON audit_erasure
  FOR EACH STATEMENT EXECUTE FUNCTION audit_erasure_guard();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON audit_legalhold
  FOR EACH ROW EXECUTE FUNCTION audit_legalhold_guard();
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON audit_legalhold
  FOR EACH STATEMENT EXECUTE FUNCTION audit_legalhold_guard();
ALTER TABLE audit_erasure ENABLE ALWAYS TRIGGER guard;
ALTER TABLE audit_erasure ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE audit_legalhold ENABLE ALWAYS TRIGGER guard;
ALTER TABLE audit_legalhold ENABLE ALWAYS TRIGGER guard_truncate;
"""

# How the rotation of keys goes on, and under which generation a person is sealed, are not changes of what was ordered.
OPERATIONAL = {"audit_erasure": "'person', 'rotation', 'irrevocable'", "audit_legalhold": "'person'"}
CAPTURE = "".join(
    f"""
CREATE TRIGGER capture_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.change_capture('id');
CREATE TRIGGER capture_update AFTER UPDATE ON {table}
  FOR EACH ROW WHEN (to_jsonb(OLD) - ARRAY[{columns}] IS DISTINCT FROM to_jsonb(NEW) - ARRAY[{columns}])
  EXECUTE FUNCTION ledger.change_capture('id');
CREATE TRIGGER capture_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.change_capture('id');
ALTER TABLE {table} ENABLE ALWAYS TRIGGER capture_insert;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER capture_update;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER capture_delete;
"""
    for table, columns in OPERATIONAL.items()
)


class ConversionError(Exception):
    """Values that were sealed before cannot be taken over."""


def values_convert(_apps: Any, schema_editor: Any) -> None:
    """Open every value with the person's old key and seal it anew; the same key, so that commitments still open."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, lookup, wrapped_key FROM audit_datasubject ORDER BY id")
        subjects = {row[0]: (bytes(row[1]), bytes(row[2])) for row in cursor.fetchall()}
        if not subjects:
            return
        if not settings.SUBJECT_KEK:
            raise ConversionError(
                f"{len(subjects)} persons have values sealed under SUBJECT_KEK, which is not set. Set it to what it "
                "was, migrate, and remove it afterwards."
            )
        kek = bytes.fromhex(settings.SUBJECT_KEK)
        keys = {number: _unwrap(kek, lookup, wrapped) for number, (lookup, wrapped) in subjects.items()}
        persons: dict[int, str] = {}
        # In the order of the events, which tells nothing of persons.
        cursor.execute(
            "SELECT event_id, name, subject_id, ciphertext FROM audit_sealedvalue_before ORDER BY event_id, name"
        )
        for event_id, name, number, ciphertext in cursor.fetchall():
            key, context = SubjectKey(keys[number]), f"{event_id}/{name}".encode()
            sealed = bytes(ciphertext)
            value = AESGCM(_derive(key.secret, "value")).decrypt(sealed[:12], sealed[12:], context).decode()
            if hmac.digest(_derive(kek, "lookup"), value.encode(), "sha256") == subjects[number][0]:
                persons[number] = value
            cursor.execute(
                "INSERT INTO audit_sealedvalue VALUES (%s, %s, %s, %s)",
                (event_id, name, key.tag(context), key.encrypt(value, context)),
            )
        if unknown := subjects.keys() - persons:
            raise ConversionError(
                f"the identifiers of {len(unknown)} persons are among none of their values, so their keys cannot be "
                f"taken over: audit_datasubject {sorted(unknown)[:10]}"
            )
        ring = key_ring_create(settings.SUBJECT_KEYS_FILE)
        for number, person in persons.items():
            lookup, wrapped = ring.wrap(ring.current, SubjectKey(keys[number]), person)
            cursor.execute(
                "UPDATE audit_datasubject SET lookup = %s, wrapped_key = %s, generation = %s WHERE id = %s",
                (lookup, wrapped, ring.current, number),
            )


def _unwrap(kek: bytes, lookup: bytes, wrapped: bytes) -> bytes:
    try:
        return AESGCM(_derive(kek, "wrap")).decrypt(wrapped[:12], wrapped[12:], lookup)
    except InvalidTag as error:
        raise ConversionError("SUBJECT_KEK is not the one that the persons' keys were wrapped under") from error


def _derive(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, f"modelnotary/v1/{purpose}".encode(), hashlib.sha256)


class Migration(migrations.Migration):
    dependencies = [("audit", "0011_signer_checkpoints")]

    operations = [
        migrations.AddField(
            "DataSubject", "generation", models.PositiveIntegerField(default=0), preserve_default=False
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(NEW_VALUES),
                migrations.RunPython(values_convert),
                migrations.RunSQL(OLD_VALUES_GONE),
            ],
            state_operations=[
                migrations.DeleteModel("SealedValue"),
                migrations.CreateModel(
                    "SealedValue",
                    [
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "event_id", "name", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("event_id", models.TextField()),
                        ("name", models.TextField()),
                        ("tag", models.BinaryField(max_length=16)),
                        ("ciphertext", models.BinaryField()),
                    ],
                ),
            ],
        ),
        # The moment of a person's first entry, to the microsecond.
        migrations.RemoveField("DataSubject", "created_at"),
        migrations.AddIndex("DataSubject", models.Index(fields=["generation"], name="data_subject_generation")),
        migrations.CreateModel(
            "Erasure",
            [
                (
                    "id",
                    models.CharField(
                        primary_key=True, max_length=40, default=partial(new_id, "ers"), editable=False, serialize=False
                    ),
                ),
                ("state", models.CharField(max_length=20, choices=ErasureState.choices, default="requested")),
                ("basis", models.CharField(max_length=40, choices=ErasureBasis.choices)),
                ("reason", models.TextField()),
                ("person", models.BinaryField(null=True)),
                ("requested_by", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("request_event", models.TextField()),
                ("approved_by", models.TextField(null=True)),
                ("approved_at", models.DateTimeField(null=True)),
                ("approval_event", models.TextField(null=True)),
                ("rotation", models.PositiveIntegerField(null=True)),
                ("irrevocable", models.BooleanField(default=False)),
            ],
            options={
                "ordering": ("requested_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")),
                        name="erasure_approved_by_another",
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=("requested", "cancelled"))
                        | Q(approved_by__isnull=False, approved_at__isnull=False, approval_event__isnull=False),
                        name="erasure_approved_by_somebody",
                    ),
                    models.CheckConstraint(condition=Q(state__in=ErasureState.values), name="erasure_state_known"),
                    models.CheckConstraint(condition=Q(basis__in=ErasureBasis.values), name="erasure_basis_known"),
                ],
            },
        ),
        migrations.CreateModel(
            "LegalHold",
            [
                (
                    "id",
                    models.CharField(
                        primary_key=True, max_length=40, default=partial(new_id, "hld"), editable=False, serialize=False
                    ),
                ),
                ("scope", models.CharField(max_length=20, choices=HoldScope.choices)),
                ("log", models.TextField(null=True, choices=Log.choices)),
                ("person", models.BinaryField(null=True)),
                ("matter", models.TextField()),
                ("reason", models.TextField()),
                ("set_by", models.TextField()),
                ("set_at", models.DateTimeField()),
                ("released_by", models.TextField(null=True)),
                ("released_at", models.DateTimeField(null=True)),
                ("release_reason", models.TextField(null=True)),
            ],
            options={
                "ordering": ("set_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(scope="log", log__in=Log.values, person__isnull=True)
                        | Q(scope="person", log__isnull=True, person__isnull=False)
                        | Q(scope="person", log__isnull=True, released_at__isnull=False),
                        name="hold_on_a_person_or_a_log",
                    ),
                ],
            },
        ),
        migrations.RunSQL(RIGHTS + GUARDS + CAPTURE),
    ]
