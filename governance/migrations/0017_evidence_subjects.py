"""Evidence about data, systems and the organization; until when it counts; what came in the place of which."""

import functools
from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.models import PROTECT
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual

import modelnotary.ids
from governance.migrations._guards import checked, insert_only

# Rows of before get the times that the service would have given them. They are the table's own defaults for what was
# never stated, not changes of what was: so neither the guard nor the capture of changes has a part in it.
FILL = """
ALTER TABLE governance_evidence DISABLE TRIGGER USER;
UPDATE governance_evidence SET collected_at = deposited_at, valid_until = deposited_at + interval '365 days';
ALTER TABLE governance_evidence ENABLE TRIGGER USER;
ALTER TABLE governance_evidence ENABLE ALWAYS TRIGGER capture_insert;
ALTER TABLE governance_evidence ENABLE ALWAYS TRIGGER capture_update;
ALTER TABLE governance_evidence ENABLE ALWAYS TRIGGER capture_delete;
"""

CLAIMS = """
DECLARE
  before governance_evidence;
  after governance_evidence;
BEGIN
  SELECT * INTO before FROM governance_evidence WHERE id = NEW.superseded_id;
  SELECT * INTO after FROM governance_evidence WHERE id = NEW.successor_id;
  IF (before.type, before.subject_digest) IS DISTINCT FROM (after.type, after.subject_digest) THEN
    RAISE EXCEPTION 'refused: % and % are not of one type about one subject', before.id, after.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF before.measured AND NOT after.measured THEN
    RAISE EXCEPTION 'refused: % was measured, and % was reported', before.id, after.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF after.deposited_at < before.deposited_at THEN
    RAISE EXCEPTION 'refused: % is older than %', after.id, before.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

ACCEPTANCES = """
BEGIN
  PERFORM governance_people_guard(NEW.accepted_by_id);
  IF EXISTS (
    SELECT FROM governance_evidencesupersession s
      JOIN governance_evidence b ON b.id = s.superseded_id
      JOIN governance_evidence a ON a.id = s.successor_id
      LEFT JOIN governance_modelversion m ON m.id = b.model_version_id
      JOIN governance_user u ON u.id IN (s.claimed_by_id, b.producer_id, a.producer_id, m.author_id, m.registered_by_id)
     WHERE s.id = NEW.supersession_id AND NEW.accepted_by_id IN (u.id, u.owner_id)) THEN
    RAISE EXCEPTION 'refused: % took part in what is to be accepted', NEW.accepted_by_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

# Evidence about the system, its data and the organization counts only where the policy reads it: the facts of the
# decision say which did. Of that about the version itself the guard of before speaks.
SIGNATURES = """
BEGIN
  IF EXISTS (
    SELECT FROM governance_approvalrequest r
      JOIN governance_decision d ON d.id = r.decision_id
      CROSS JOIN jsonb_array_elements(convert_from(d.context_document, 'UTF8')::jsonb -> 'evidence') AS seen
      JOIN governance_evidence e ON e.id = seen ->> 'id'
      JOIN governance_user u ON u.id = e.producer_id
     WHERE r.id = NEW.request_id AND NEW.signer_id IN (u.id, u.owner_id)) THEN
    RAISE EXCEPTION 'signature refused: % produced evidence that the decision rests on', NEW.signer_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

GUARDS = (
    insert_only("governance_evidencesupersession", "governance_supersessionacceptance")
    + checked("governance_evidencesupersession", "governance_supersession_guard", CLAIMS)
    + checked("governance_supersessionacceptance", "governance_acceptance_guard", ACCEPTANCES)
    + checked("governance_signature", "governance_signature_evidence_guard", SIGNATURES)
)


def key(prefix: str) -> "models.CharField[str, str]":
    default = functools.partial(modelnotary.ids.new_id, prefix)
    return models.CharField(default=default, editable=False, max_length=40, primary_key=True, serialize=False)


def person() -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey(on_delete=PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)


def bound(about: str) -> models.Q:
    fields = {"model_version": "model_version", "dataset_version": "dataset_version", "system": "system"}
    return models.Q(about=about, **{f"{name}__isnull": kind != about for name, kind in fields.items()})


def reasoned(name: str) -> models.CheckConstraint:
    condition = GreaterThanOrEqual(Length("reason"), 20)
    return models.CheckConstraint(condition=condition, name=name)


class Migration(migrations.Migration):
    dependencies = [("governance", "0016_policy_attachments")]
    operations = [
        migrations.AddField("evidence", "schema_version", models.PositiveSmallIntegerField(default=1)),
        migrations.AddField(
            "evidence",
            "about",
            models.CharField(
                choices=[
                    ("model_version", "model version"),
                    ("dataset_version", "dataset version"),
                    ("system", "system"),
                    ("organization", "organization"),
                ],
                default="model_version",
                max_length=20,
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            "evidence",
            "model_version",
            models.ForeignKey(null=True, on_delete=PROTECT, related_name="evidence", to="governance.modelversion"),
        ),
        migrations.AddField(
            "evidence",
            "dataset_version",
            models.ForeignKey(null=True, on_delete=PROTECT, related_name="evidence", to="governance.datasetversion"),
        ),
        migrations.AddField(
            "evidence",
            "system",
            models.ForeignKey(null=True, on_delete=PROTECT, related_name="evidence", to="governance.aisystem"),
        ),
        migrations.AddField(
            "evidence",
            "collected_at",
            models.DateTimeField(null=True, help_text="When the fact was established, as the producer says."),
        ),
        migrations.AddField(
            "evidence", "valid_until", models.DateTimeField(null=True, help_text="From then on it satisfies no rule.")
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            "evidence",
            "collected_at",
            models.DateTimeField(help_text="When the fact was established, as the producer says."),
        ),
        migrations.AlterField(
            "evidence", "valid_until", models.DateTimeField(help_text="From then on it satisfies no rule.")
        ),
        migrations.RemoveConstraint("evidence", "evidence_once"),
        migrations.AddConstraint(
            "evidence", models.UniqueConstraint(fields=("subject_digest", "type", "digest"), name="evidence_once")
        ),
        migrations.AddConstraint(
            "evidence",
            models.CheckConstraint(
                condition=bound("model_version") | bound("dataset_version") | bound("system") | bound("organization"),
                name="evidence_has_one_subject",
            ),
        ),
        migrations.AddConstraint(
            "evidence",
            models.CheckConstraint(
                condition=models.Q(valid_until__gt=models.F("collected_at")), name="evidence_valid_after_collected"
            ),
        ),
        migrations.CreateModel(
            name="EvidenceSupersession",
            fields=[
                ("id", key("sup")),
                (
                    "superseded",
                    models.OneToOneField(on_delete=PROTECT, related_name="superseded_by", to="governance.evidence"),
                ),
                (
                    "successor",
                    models.OneToOneField(on_delete=PROTECT, related_name="supersedes", to="governance.evidence"),
                ),
                ("reason", models.TextField()),
                ("claimed_by", person()),
                ("claimed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("-claimed_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=~models.Q(superseded=models.F("successor")), name="supersession_by_another"
                    ),
                    reasoned("supersession_has_a_reason"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SupersessionAcceptance",
            fields=[
                ("id", key("sac")),
                (
                    "supersession",
                    models.OneToOneField(
                        on_delete=PROTECT, related_name="acceptance", to="governance.evidencesupersession"
                    ),
                ),
                ("reason", models.TextField()),
                ("accepted_by", person()),
                ("accepted_at", models.DateTimeField()),
            ],
            options={"ordering": ("-accepted_at",), "constraints": [reasoned("acceptance_has_a_reason")]},
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
