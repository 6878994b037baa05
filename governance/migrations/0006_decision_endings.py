"""What ends a passed decision, and the facts of a decision as the bytes that the rules saw."""

import django.contrib.postgres.fields
import django.db.models.deletion
import functools
import hashlib
from typing import Any

import modelnotary.ids
from django.conf import settings
from django.db import migrations, models


from governance.migrations._guards import checked, insert_only
from modelnotary.ledger.canonical import canonical_bytes

PEOPLE = """
-- Steps that two people take: each is a person, without power over the rules, and they are not the same.
CREATE FUNCTION governance_people_guard(VARIADIC people text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM governance_user WHERE id = ANY (people) AND (is_service OR is_superuser)) THEN
    RAISE EXCEPTION 'refused: one of % is a service account or a superuser', people USING ERRCODE = 'restrict_violation';
  END IF;
  IF (SELECT count(p) <> count(DISTINCT p) FROM unnest(people) p) THEN
    RAISE EXCEPTION 'refused: % has more than one part in this', people[1] USING ERRCODE = 'restrict_violation';
  END IF;
END $$;
"""

PROPOSALS = """
BEGIN
  PERFORM governance_people_guard(NEW.proposed_by_id);
  IF NOT EXISTS (SELECT FROM governance_decision WHERE id = NEW.decision_id AND state = 'passed')
     OR EXISTS (SELECT FROM governance_decisionending WHERE decision_id = NEW.decision_id) THEN
    RAISE EXCEPTION 'refused: decision % does not stand', NEW.decision_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

ENDINGS = """
DECLARE
  ended governance_decision;
  after governance_decision;
  proposal governance_revocationproposal;
BEGIN
  SELECT * INTO ended FROM governance_decision WHERE id = NEW.decision_id;
  IF ended.state <> 'passed' THEN
    RAISE EXCEPTION 'refused: decision % is %, and only a passed one ends', ended.id, ended.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.kind = 'expired' AND (NEW.ended_at IS DISTINCT FROM ended.expires_at OR NEW.recorded_at < NEW.ended_at) THEN
    RAISE EXCEPTION 'refused: decision % runs out at %', ended.id, ended.expires_at
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.kind = 'superseded' THEN
    SELECT * INTO after FROM governance_decision WHERE id = NEW.successor_id;
    IF (after.supersedes_id, after.model_version_id, after.environment)
       IS DISTINCT FROM (ended.id, ended.model_version_id, ended.environment) THEN
      RAISE EXCEPTION 'refused: decision % does not take the place of %', after.id, ended.id
        USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  IF NEW.kind = 'revoked' THEN
    SELECT * INTO proposal FROM governance_revocationproposal WHERE id = NEW.proposal_id;
    IF proposal.decision_id <> ended.id THEN
      RAISE EXCEPTION 'refused: proposal % is about another decision', proposal.id USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM governance_people_guard(proposal.proposed_by_id, NEW.confirmed_by_id);
  END IF;
  RETURN NEW;
END
"""

DECISIONS = """
CREATE OR REPLACE FUNCTION governance_decision_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'pending' THEN
    RAISE EXCEPTION 'decision % is %: a verdict never changes; request a new decision', OLD.id, OLD.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.model_version_id, NEW.environment, NEW.policy_version_id, NEW.evidence_set_digest, NEW.context,
      NEW.requested_by_id, NEW.evaluated_at, NEW.supersedes_id, NEW.context_document, NEW.context_digest, NEW.engine,
      NEW.results_digest)
     IS DISTINCT FROM
     (OLD.id, OLD.model_version_id, OLD.environment, OLD.policy_version_id, OLD.evidence_set_digest, OLD.context,
      OLD.requested_by_id, OLD.evaluated_at, OLD.supersedes_id, OLD.context_document, OLD.context_digest, OLD.engine,
      OLD.results_digest) THEN
    RAISE EXCEPTION 'decision %: what it rests on never changes', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
ALTER TABLE governance_decision ADD CONSTRAINT decision_context_has_its_digest
  CHECK (context_digest = 'sha256:' || encode(sha256(context_document), 'hex'));
"""

GUARDS = (
    PEOPLE
    + DECISIONS
    + insert_only("governance_revocationproposal", "governance_decisionending")
    + checked("governance_revocationproposal", "governance_proposal_guard", PROPOSALS)
    + checked("governance_decisionending", "governance_ending_guard", ENDINGS)
)

_MAX_SAFE_INTEGER = 2**53 - 1


def writable(value: Any) -> Any:
    """Large whole numbers as the floating-point numbers that JSON takes them for."""
    if isinstance(value, dict):
        return {name: writable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [writable(item) for item in value]
    return float(value) if type(value) is int and abs(value) > _MAX_SAFE_INTEGER else value


def digest(document: bytes) -> str:
    return f"sha256:{hashlib.sha256(document).hexdigest()}"


def contexts_write(apps: Any, schema_editor: Any) -> None:
    """Write down as bytes what older decisions kept parsed. The triggers rest: no governed fact changes."""
    decisions = apps.get_model("governance", "Decision").objects
    schema_editor.execute("ALTER TABLE governance_decision DISABLE TRIGGER USER")
    for decision in decisions.iterator():
        document = canonical_bytes(writable(decision.context))
        results = canonical_bytes(writable([rule for rule in decision.rules if rule["id"] != "APPROVALS"]))
        decisions.filter(pk=decision.pk).update(
            context_document=document,
            context_digest=digest(document),
            results_digest=digest(results),
            engine="not recorded",
        )
    schema_editor.execute("ALTER TABLE governance_decision ENABLE TRIGGER USER")
    for event in ("insert", "update", "delete"):
        schema_editor.execute(f"ALTER TABLE governance_decision ENABLE ALWAYS TRIGGER capture_{event}")


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0005_dataset_schema"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="context_digest",
            field=models.CharField(default="", max_length=71),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="decision",
            name="context_document",
            field=models.BinaryField(
                default=b"", help_text="Canonical JSON of the facts, exactly as the rules saw them."
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="decision",
            name="engine",
            field=models.CharField(default="", help_text="What evaluated the rules, and its version.", max_length=80),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="decision",
            name="results_digest",
            field=models.CharField(
                default="", help_text="Of the rules' results in canonical JSON, before anybody signed.", max_length=71
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="decision",
            name="supersedes",
            field=models.ForeignKey(
                help_text="The decision before it.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="successors",
                to="governance.decision",
            ),
        ),
        migrations.AlterField(
            model_name="apitoken",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("registry:read", "Read systems, models, data and lineage"),
                        ("registry:write", "Register systems, models, data, runs and deployments"),
                        ("evidence:write", "Deposit evidence"),
                        ("assessment:run", "Start explanations and bias assessments"),
                        ("policy:publish", "Publish policies"),
                        ("gate:read", "Ask the gate and read decisions"),
                        ("gate:evaluate", "Request decisions"),
                        ("gate:revoke", "Revoke decisions; people only"),
                        ("approval:vote", "Sign approvals; people only"),
                        ("report:create", "Create and download reports and bundles"),
                        ("audit:read", "Read ledger entries, proofs and checkpoints"),
                        ("access:write", "Record accesses made in other systems"),
                    ],
                    max_length=30,
                ),
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="decision",
            name="context",
            field=models.JSONField(help_text="The document, parsed for searching."),
        ),
        migrations.CreateModel(
            name="RevocationProposal",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("rvp",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("reason", models.TextField()),
                ("proposed_at", models.DateTimeField()),
                (
                    "decision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revocation_proposals",
                        to="governance.decision",
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-proposed_at",),
            },
        ),
        migrations.CreateModel(
            name="DecisionEnding",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("end",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("expired", "Expired"), ("revoked", "Revoked"), ("superseded", "Superseded")],
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField()),
                ("ended_at", models.DateTimeField(help_text="When it stopped counting.")),
                ("recorded_at", models.DateTimeField()),
                (
                    "confirmed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="ending", to="governance.decision"
                    ),
                ),
                (
                    "successor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.decision",
                    ),
                ),
                (
                    "proposal",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ending",
                        to="governance.revocationproposal",
                    ),
                ),
            ],
            options={
                "ordering": ("-ended_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("confirmed_by", None), ("kind", "expired"), ("proposal", None), ("successor", None)
                            ),
                            models.Q(
                                ("confirmed_by", None),
                                ("kind", "superseded"),
                                ("proposal", None),
                                ("successor__isnull", False),
                            ),
                            models.Q(
                                ("confirmed_by__isnull", False),
                                ("kind", "revoked"),
                                ("proposal__isnull", False),
                                ("successor", None),
                            ),
                            _connector="OR",
                        ),
                        name="decision_ending_has_its_cause",
                    )
                ],
            },
        ),
        migrations.RunPython(contexts_write, migrations.RunPython.noop),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
