"""Findings, what was done about each, and whom a late one was told."""

import django.contrib.postgres.fields
import django.db.models.deletion
import functools
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models


from governance.migrations._guards import checked, insert_only

FINDING_EVENTS = """
DECLARE
  last governance_findingevent;
  before text;
BEGIN
  PERFORM governance_people_guard(NEW.by_id);
  SELECT * INTO last FROM governance_findingevent WHERE finding_id = NEW.finding_id ORDER BY number DESC LIMIT 1;
  before := coalesce(last.state, 'open');
  IF NEW.number <> coalesce(last.number, 0) + 1 OR (before, NEW.state) NOT IN (
    ('open', 'in_progress'), ('open', 'risk_accepted'), ('in_progress', 'remediated'), ('in_progress', 'risk_accepted'),
    ('remediated', 'closed'), ('remediated', 'in_progress')) THEN
    RAISE EXCEPTION 'refused: finding % is %, from which % does not follow', NEW.finding_id, before, NEW.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'closed' AND last.by_id = NEW.by_id THEN
    RAISE EXCEPTION 'refused: % remediated finding %; another person closes it', NEW.by_id, NEW.finding_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.state = 'risk_accepted'
     AND EXISTS (SELECT FROM governance_finding WHERE id = NEW.finding_id AND owner_id = NEW.by_id) THEN
    RAISE EXCEPTION 'refused: % owns finding %', NEW.by_id, NEW.finding_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

GUARDS = (
    insert_only("governance_finding", "governance_findingevent", "governance_findingescalation")
    + checked("governance_findingevent", "governance_finding_event_guard", FINDING_EVENTS)
    + "GRANT UPDATE (id) ON governance_finding TO mn_app;"
)


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0013_exceptions"),
    ]

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
                        ("assessment:run", "Start explanations and bias assessments"),
                        ("policy:publish", "Publish policies"),
                        ("gate:read", "Ask the gate and read decisions"),
                        ("gate:evaluate", "Request decisions"),
                        ("gate:revoke", "Revoke decisions; people only"),
                        ("gate:override", "Ask for and answer exceptions and overrides; people only"),
                        ("approval:vote", "Sign approvals; people only"),
                        ("finding:read", "Read findings"),
                        ("finding:write", "Open findings and take them further; people only"),
                        ("report:create", "Create and download reports and bundles"),
                        ("audit:read", "Read ledger entries, proofs and checkpoints"),
                        ("access:write", "Record accesses made in other systems"),
                    ],
                    max_length=30,
                ),
                size=None,
            ),
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("fnd",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("validation_issue", "Validation issue"),
                            ("policy_exception", "Policy exception"),
                            ("limitation", "Limitation"),
                            ("incident", "Incident"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "severity",
                    models.CharField(
                        choices=[("low", "Low"), ("medium", "Medium"), ("high", "High"), ("critical", "Critical")],
                        max_length=10,
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("description", models.TextField()),
                ("remediation", models.TextField(help_text="What has to be done.")),
                (
                    "subject_kind",
                    models.CharField(
                        choices=[
                            ("system", "AI system"),
                            ("model_version", "Model version"),
                            ("deployment", "Deployment"),
                            ("decision", "Decision"),
                        ],
                        max_length=20,
                    ),
                ),
                ("subject_id", models.CharField(max_length=40)),
                ("due_at", models.DateTimeField()),
                (
                    "cause",
                    models.CharField(
                        help_text="What the product noticed; one finding for each.",
                        max_length=120,
                        null=True,
                        unique=True,
                    ),
                ),
                ("opened_at", models.DateTimeField()),
                (
                    "escalates_to",
                    models.ForeignKey(
                        help_text="Who is told when it is late.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "model_version",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="findings",
                        to="governance.modelversion",
                    ),
                ),
                (
                    "opened_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        help_text="Who has to see to it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="findings", to="governance.aisystem"
                    ),
                ),
            ],
            options={
                "ordering": ("-opened_at",),
            },
        ),
        migrations.CreateModel(
            name="FindingEscalation",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("fnx",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="escalations", to="governance.finding"
                    ),
                ),
                (
                    "to",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("level",),
            },
        ),
        migrations.CreateModel(
            name="FindingEvent",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("fne",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("in_progress", "In progress"),
                            ("remediated", "Remediated"),
                            ("closed", "Closed"),
                            ("risk_accepted", "Risk accepted"),
                        ],
                        max_length=20,
                    ),
                ),
                ("note", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "finding",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="events", to="governance.finding"
                    ),
                ),
            ],
            options={
                "ordering": ("number",),
            },
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["subject_id"], name="governance__subject_524cd4_idx"),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["due_at"], name="governance__due_at_fa2864_idx"),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cause", None), ("opened_by__isnull", False)),
                    models.Q(("cause__isnull", False), ("opened_by", None)),
                    _connector="OR",
                ),
                name="finding_is_opened_by_a_person_or_has_a_cause",
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(("due_at__gt", models.F("opened_at"))), name="finding_is_due_later"
            ),
        ),
        migrations.AddConstraint(
            model_name="findingescalation",
            constraint=models.UniqueConstraint(fields=("finding", "level"), name="finding_escalated_once_a_level"),
        ),
        migrations.AddConstraint(
            model_name="findingevent",
            constraint=models.UniqueConstraint(fields=("finding", "number"), name="finding_event_number_once"),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
