"""Periods for which systems are attested, and the three sign-offs of each."""

import django.db.models.deletion
import functools
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models


from governance.migrations._guards import checked, insert_only

PERIODS = """
BEGIN
  PERFORM governance_people_guard(NEW.submitter_id, NEW.reviewer_id, NEW.approver_id);
  IF EXISTS (SELECT FROM governance_attestationperiod
              WHERE system_id = NEW.system_id AND starts_on <= NEW.ends_on AND ends_on >= NEW.starts_on) THEN
    RAISE EXCEPTION 'refused: another period covers these days' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

SIGN_OFFS = """
DECLARE
  period governance_attestationperiod;
  named text;
  before governance_attestationsignoff;
BEGIN
  SELECT * INTO period FROM governance_attestationperiod WHERE id = NEW.period_id;
  named := CASE NEW.kind WHEN 'submitted' THEN period.submitter_id WHEN 'reviewed' THEN period.reviewer_id
                         WHEN 'approved' THEN period.approver_id END;
  IF NEW.by_id IS DISTINCT FROM named THEN
    RAISE EXCEPTION 'refused: % is not named for this step of %', NEW.by_id, period.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.kind <> 'submitted' THEN
    SELECT * INTO before FROM governance_attestationsignoff
     WHERE period_id = period.id AND kind = CASE NEW.kind WHEN 'reviewed' THEN 'submitted' ELSE 'reviewed' END;
    IF before.id IS NULL OR before.content_digest <> NEW.content_digest THEN
      RAISE EXCEPTION 'refused: % is not what was signed off before in %', NEW.content_digest, period.id
        USING ERRCODE = 'restrict_violation';
    END IF;
  ELSIF NEW.content_digest <> 'sha256:' || encode(sha256(NEW.content), 'hex') THEN
    RAISE EXCEPTION 'refused: the content has another digest' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.statement_digest <> 'sha256:' || encode(sha256(NEW.statement), 'hex') THEN
    RAISE EXCEPTION 'refused: the statement has another digest' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

GUARDS = (
    insert_only("governance_attestationperiod", "governance_attestationsignoff")
    + checked("governance_attestationperiod", "governance_period_guard", PERIODS)
    + checked("governance_attestationsignoff", "governance_sign_off_guard", SIGN_OFFS)
    + "GRANT UPDATE (id) ON governance_attestationperiod TO mn_app;"
)


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0014_findings"),
    ]

    operations = [
        migrations.CreateModel(
            name="AttestationPeriod",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("atp",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("starts_on", models.DateField()),
                ("ends_on", models.DateField()),
                ("due_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField()),
                (
                    "approver",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "opened_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "submitter",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attestation_periods",
                        to="governance.aisystem",
                    ),
                ),
            ],
            options={
                "ordering": ("-starts_on",),
            },
        ),
        migrations.CreateModel(
            name="AttestationSignOff",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ats",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("submitted", "Submitted"), ("reviewed", "Reviewed"), ("approved", "Approved")],
                        max_length=10,
                    ),
                ),
                ("printed_name", models.CharField(max_length=200)),
                ("reason", models.TextField()),
                (
                    "content",
                    models.BinaryField(help_text="What was submitted: canonical JSON, exactly as hashed.", null=True),
                ),
                ("content_digest", models.CharField(max_length=71)),
                ("statement", models.BinaryField(help_text="Canonical JSON of what this person signed.")),
                ("statement_digest", models.CharField(max_length=71)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "period",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sign_offs",
                        to="governance.attestationperiod",
                    ),
                ),
            ],
            options={
                "ordering": ("at",),
            },
        ),
        migrations.AddConstraint(
            model_name="attestationperiod",
            constraint=models.UniqueConstraint(fields=("system", "starts_on"), name="attestation_period_once"),
        ),
        migrations.AddConstraint(
            model_name="attestationperiod",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_on__gte", models.F("starts_on"))), name="attestation_period_has_days"
            ),
        ),
        migrations.AddConstraint(
            model_name="attestationperiod",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("submitter", models.F("reviewer")), _negated=True),
                    models.Q(("submitter", models.F("approver")), _negated=True),
                    models.Q(("reviewer", models.F("approver")), _negated=True),
                ),
                name="attestation_by_three_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="attestationsignoff",
            constraint=models.UniqueConstraint(fields=("period", "kind"), name="attestation_signed_off_once"),
        ),
        migrations.AddConstraint(
            model_name="attestationsignoff",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("content__isnull", False), ("kind", "submitted")),
                    models.Q(models.Q(("kind", "submitted"), _negated=True), ("content", None)),
                    _connector="OR",
                ),
                name="attestation_content_is_submitted",
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
