"""Predictions about persons, what people made of them, and what the database refuses about both."""

import functools
from typing import Any

import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models
from django.db.models import PROTECT

import modelnotary.ids
from governance.migrations._guards import checked, insert_only

# A record cannot say that a decision allowed what it did not allow at that moment. That the document says the same as
# the columns is seen by whoever holds the two against each other; the root in the ledger is of the documents.
RECORDS = """
DECLARE
  decided governance_decision;
BEGIN
  IF NEW.model_version_id IS NOT NULL AND NOT EXISTS (
       SELECT FROM governance_modelversion WHERE id = NEW.model_version_id AND digest = NEW.model_digest)
     OR NEW.model_version_id IS NULL AND NEW.decision_id IS NOT NULL THEN
    RAISE EXCEPTION 'refused: % is not the version of these bytes', NEW.model_version_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.decision_id IS NULL) <> (NEW.standing = '') THEN
    RAISE EXCEPTION 'refused: a standing is that of a decision' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.decision_id IS NOT NULL THEN
    SELECT * INTO decided FROM governance_decision WHERE id = NEW.decision_id;
    IF (decided.model_version_id, decided.environment) IS DISTINCT FROM (NEW.model_version_id, NEW.environment)
       OR decided.evaluated_at > NEW.at THEN
      RAISE EXCEPTION 'refused: decision % was not about this, or not there yet', NEW.decision_id
        USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.standing = 'passed' AND (
         decided.state <> 'passed' OR decided.decided_at > NEW.at OR decided.expires_at IS NULL
         OR decided.expires_at <= NEW.at OR EXISTS (
           SELECT FROM governance_decisionending WHERE decision_id = decided.id AND ended_at <= NEW.at)) THEN
      RAISE EXCEPTION 'refused: decision % did not stand then', NEW.decision_id USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  IF NEW.override_id IS NOT NULL AND NOT EXISTS (
       SELECT FROM governance_override o JOIN governance_overridesteprecord s ON s.override_id = o.id
        WHERE o.id = NEW.override_id AND o.decision_id = NEW.decision_id AND o.expires_at > NEW.at
          AND s.kind = 'approved' AND s.at <= NEW.at) THEN
    RAISE EXCEPTION 'refused: override % did not allow this then', NEW.override_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

OVERRIDES = """
BEGIN
  IF EXISTS (SELECT FROM governance_predictionrecord WHERE id = NEW.prediction_id AND at > NEW.at) THEN
    RAISE EXCEPTION 'refused: % was not there yet', NEW.prediction_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

BATCH, RECORD, OVERRIDE = (f"governance_{name}" for name in ("predictionbatch", "predictionrecord", "humanoverride"))
GUARDS = (
    insert_only(BATCH, RECORD, OVERRIDE)
    + checked(RECORD, "governance_prediction_guard", RECORDS)
    + checked(OVERRIDE, "governance_human_override_guard", OVERRIDES)
)


def key(prefix: str) -> "models.CharField[str, str]":
    default = functools.partial(modelnotary.ids.new_id, prefix)
    return models.CharField(default=default, editable=False, max_length=40, primary_key=True, serialize=False)


def to(model: str, related: str = "+", **more: Any) -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey(on_delete=PROTECT, related_name=related, to=model, **more)


def record_fields() -> list[tuple[str, "models.Field[Any, Any]"]]:
    return [
        ("reference", models.UUIDField(help_text="The sender's own name for it.", unique=True)),
        ("batch", to("governance.predictionbatch", "%(class)ss")),
        ("position", models.PositiveIntegerField()),
        ("at", models.DateTimeField(help_text="When it was made, as the sender says.")),
        ("document", models.BinaryField()),
        ("sealed", models.BinaryField()),
    ]


STANDINGS = [
    ("pending", "Pending approval"),
    ("passed", "Passed"),
    ("failed", "Failed"),
    ("error", "Error"),
    ("expired", "Expired"),
    ("revoked", "Revoked"),
    ("superseded", "Superseded"),
]


class Migration(migrations.Migration):
    dependencies = [("governance", "0021_producer_keys")]
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
                        ("prediction:write", "Record predictions about persons and what people made of them"),
                        ("prediction:read", "Ask what decided about a person on a day; people only"),
                        ("access:write", "Record accesses made in other systems"),
                    ],
                    max_length=30,
                ),
                size=None,
            ),
        ),
        migrations.CreateModel(
            name="PredictionBatch",
            fields=[
                ("id", key("prb")),
                ("reporter", to(settings.AUTH_USER_MODEL)),
                ("size", models.PositiveIntegerField(help_text="How many records it has.")),
                (
                    "root",
                    models.CharField(help_text="Merkle tree hash (RFC 6962) over their documents.", max_length=71),
                ),
                ("received_at", models.DateTimeField()),
            ],
            options={"ordering": ("-received_at",), "verbose_name_plural": "prediction batches"},
        ),
        migrations.CreateModel(
            name="PredictionRecord",
            fields=[
                *record_fields(),
                ("id", key("prd")),
                ("environment", models.SlugField(max_length=80)),
                ("model_digest", models.CharField(max_length=71)),
                (
                    "model_version",
                    to("governance.modelversion", "predictions", null=True, help_text="None: not registered."),
                ),
                ("model", to("governance.model", null=True)),
                ("deployment", to("governance.deployment", null=True)),
                ("decision", to("governance.decision", null=True)),
                ("standing", models.CharField(blank=True, choices=STANDINGS, max_length=20)),
                ("override", to("governance.override", null=True)),
                (
                    "is_approved",
                    models.BooleanField(help_text="A decision that stood, or an override in force, allowed it then."),
                ),
                ("pseudonym", models.BinaryField(help_text="Only the person's key makes it.", unique=True)),
            ],
            options={
                "ordering": ("-at",),
                "indexes": [
                    models.Index(fields=("-at",), name="prediction_by_time"),
                    models.Index(
                        condition=models.Q(("is_approved", False)),
                        fields=("environment", "-at"),
                        name="prediction_unapproved_by_time",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "position"), name="prediction_position_once"),
                    models.CheckConstraint(
                        condition=models.Q(is_approved=True)
                        & (models.Q(standing="passed") | models.Q(override__isnull=False))
                        | models.Q(is_approved=False, override=None) & ~models.Q(standing="passed"),
                        name="prediction_approved_by_something",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HumanOverride",
            fields=[
                *record_fields(),
                ("id", key("hov")),
                ("prediction", to("governance.predictionrecord", "human_overrides")),
                (
                    "action",
                    models.CharField(
                        choices=[("accept", "Accepted"), ("modify", "Modified"), ("reject", "Rejected")],
                        max_length=10,
                    ),
                ),
                ("person", models.CharField(help_text="Who did it, as their system names them.", max_length=200)),
                ("person_name", models.CharField(max_length=200)),
            ],
            options={
                "ordering": ("at", "id"),
                "constraints": [
                    models.UniqueConstraint(fields=("batch", "position"), name="human_override_position_once")
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
