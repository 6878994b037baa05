"""Keys of evidence producers by two people, and the envelopes that evidence came in."""

import functools
from typing import Any

import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models
from django.db.models import PROTECT

import modelnotary.ids
from governance.migrations._guards import checked, insert_only

# Whoever takes evidence by a key and whoever ends the key wait for each other; the services take the same lock.
LOCK = """
CREATE FUNCTION governance_producer_key_lock(key_id text) RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('governance.producer_key ' || key_id, 0));
$$;
"""

KEYS = """
BEGIN
  PERFORM governance_people_guard(NEW.proposed_by_id);
  IF EXISTS (SELECT FROM governance_user WHERE id = NEW.holder_id
              AND (NEW.proposed_by_id IN (id, owner_id) OR is_superuser OR is_service = (NEW.assessor <> ''))) THEN
    RAISE EXCEPTION 'refused: % cannot be given a key by % for %', NEW.holder_id, NEW.proposed_by_id, NEW.assessor
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.fingerprint <> 'sha256:' || encode(sha256(NEW.public_key), 'hex') THEN
    RAISE EXCEPTION 'refused: the key does not have the fingerprint %', NEW.fingerprint
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

CONFIRMATIONS = """
DECLARE
  key governance_producerkey;
BEGIN
  PERFORM governance_producer_key_lock(NEW.key_id);
  SELECT * INTO key FROM governance_producerkey WHERE id = NEW.key_id;
  PERFORM governance_people_guard(key.proposed_by_id, NEW.confirmed_by_id);
  IF EXISTS (SELECT FROM governance_user WHERE id = key.holder_id AND NEW.confirmed_by_id IN (id, owner_id)) THEN
    RAISE EXCEPTION 'refused: % answers for the key', NEW.confirmed_by_id USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.fingerprint <> key.fingerprint
     OR EXISTS (SELECT FROM governance_producerkeyrevocation WHERE key_id = NEW.key_id) THEN
    RAISE EXCEPTION 'refused: key % is another one, or was revoked', NEW.key_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

REVOCATIONS = """
BEGIN
  PERFORM governance_producer_key_lock(NEW.key_id);
  PERFORM governance_people_guard(NEW.revoked_by_id);
  RETURN NEW;
END
"""

STATEMENTS = """
DECLARE
  key governance_producerkey;
  said governance_evidence;
BEGIN
  PERFORM governance_producer_key_lock(NEW.key_id);
  SELECT * INTO key FROM governance_producerkey WHERE id = NEW.key_id;
  SELECT * INTO said FROM governance_evidence WHERE id = NEW.evidence_id;
  IF NOT (key.valid_from <= NEW.received_at AND NEW.received_at < key.valid_until)
     OR NOT EXISTS (SELECT FROM governance_producerkeyconfirmation
                     WHERE key_id = NEW.key_id AND confirmed_at <= NEW.received_at)
     OR EXISTS (SELECT FROM governance_producerkeyrevocation WHERE key_id = NEW.key_id) THEN
    RAISE EXCEPTION 'refused: key % was not in force', NEW.key_id USING ERRCODE = 'restrict_violation';
  END IF;
  IF said.measured OR said.producer_id <> key.holder_id OR said.deposited_at <> NEW.received_at
     OR NEW.envelope_digest <> 'sha256:' || encode(sha256(NEW.envelope), 'hex')
     OR convert_from(said.document, 'UTF8')::jsonb ->> 'envelope' IS DISTINCT FROM NEW.envelope_digest THEN
    RAISE EXCEPTION 'refused: % did not come in this envelope', NEW.evidence_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

KEY, CONFIRMATION, REVOCATION, STATEMENT = (
    f"governance_{name}"
    for name in ("producerkey", "producerkeyconfirmation", "producerkeyrevocation", "signedstatement")
)
GUARDS = (
    LOCK
    + insert_only(KEY, CONFIRMATION, REVOCATION, STATEMENT)
    + checked(KEY, "governance_producer_key_guard", KEYS)
    + checked(CONFIRMATION, "governance_producer_key_confirmation_guard", CONFIRMATIONS)
    + checked(REVOCATION, "governance_producer_key_revocation_guard", REVOCATIONS)
    + checked(STATEMENT, "governance_signed_statement_guard", STATEMENTS)
)


def key(prefix: str) -> "models.CharField[str, str]":
    default = functools.partial(modelnotary.ids.new_id, prefix)
    return models.CharField(default=default, editable=False, max_length=40, primary_key=True, serialize=False)


def person(related: str = "+") -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey(on_delete=PROTECT, related_name=related, to=settings.AUTH_USER_MODEL)


class Migration(migrations.Migration):
    dependencies = [("governance", "0020_tiers")]
    operations = [
        migrations.AlterField(
            model_name="apitoken",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("registry:read", "Read systems, models, data and lineage"),
                        ("registry:write", "Register systems, models, data, runs and deployments"),
                        ("evidence:write", "Deposit evidence"),
                        ("evidence:key", "Register and revoke keys of evidence producers; people only"),
                        ("assessment:run", "Start explanations and bias assessments"),
                        ("policy:draft", "Draft policies and withdraw drafts"),
                        ("policy:publish", "Publish policies that somebody else drafted; people only"),
                        ("gate:read", "Ask the gate and read decisions"),
                        ("gate:evaluate", "Request decisions"),
                        ("gate:revoke", "Revoke decisions; people only"),
                        ("gate:override", "Ask for and answer exceptions and overrides; people only"),
                        ("approval:vote", "Sign approvals; people only"),
                        ("finding:read", "Read findings"),
                        ("finding:write", "Open findings and take them further; people only"),
                        ("report:create", "Create and download reports and bundles"),
                        ("audit:read", "Read ledger entries, proofs and checkpoints"),
                        ("environment:report", "Report what runs in an environment"),
                        ("access:write", "Record accesses made in other systems"),
                    ],
                    max_length=30,
                ),
                size=None,
            ),
        ),
        migrations.CreateModel(
            name="ProducerKey",
            fields=[
                ("id", key("pky")),
                ("holder", person("producer_keys")),
                (
                    "assessor",
                    models.CharField(blank=True, help_text="The external assessor whose key it is.", max_length=200),
                ),
                ("fingerprint", models.CharField(help_text="SHA-256 of the public key.", max_length=71)),
                ("public_key", models.BinaryField(help_text="SubjectPublicKeyInfo, DER.")),
                ("valid_from", models.DateTimeField()),
                ("valid_until", models.DateTimeField()),
                ("reason", models.TextField()),
                ("proposed_by", person()),
                ("proposed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("-proposed_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(valid_until__gt=models.F("valid_from")), name="producer_key_has_a_window"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProducerKeyConfirmation",
            fields=[
                ("id", key("pkc")),
                (
                    "key",
                    models.OneToOneField(on_delete=PROTECT, related_name="confirmation", to="governance.producerkey"),
                ),
                ("fingerprint", models.CharField(max_length=71, unique=True)),
                ("confirmed_by", person()),
                ("confirmed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ProducerKeyRevocation",
            fields=[
                ("id", key("pkr")),
                (
                    "key",
                    models.OneToOneField(on_delete=PROTECT, related_name="revocation", to="governance.producerkey"),
                ),
                (
                    "distrusted_from",
                    models.DateTimeField(help_text="Evidence received from then on satisfies nothing."),
                ),
                ("reason", models.TextField()),
                ("revoked_by", person()),
                ("revoked_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(distrusted_from__lte=models.F("revoked_at")),
                        name="producer_key_distrusted_by_its_revocation",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            name="SignedStatement",
            fields=[
                ("id", key("sst")),
                (
                    "evidence",
                    models.OneToOneField(on_delete=PROTECT, related_name="statement", to="governance.evidence"),
                ),
                (
                    "key",
                    models.ForeignKey(on_delete=PROTECT, related_name="statements", to="governance.producerkey"),
                ),
                ("envelope", models.BinaryField(help_text="DSSE, exactly as received.")),
                ("envelope_digest", models.CharField(max_length=71, unique=True)),
                ("payload_digest", models.CharField(help_text="Of what was signed.", max_length=71)),
                (
                    "unknown_keys",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200),
                        default=list,
                        help_text="Named by other signatures.",
                        size=None,
                    ),
                ),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("key", "payload_digest"), name="statement_once"),
                ]
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
