"""Exceptions to rules and overrides of denials, each a request and the steps that followed it."""

import datetime
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.text
import django.db.models.lookups
import functools
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models


from governance.migrations._guards import checked, insert_only

EXCEPTIONS = """
BEGIN
  PERFORM governance_people_guard(NEW.requested_by_id);
  IF EXISTS (SELECT FROM governance_user WHERE id = NEW.owner_id AND is_service) THEN
    RAISE EXCEPTION 'refused: a service account cannot answer for a risk' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

EXCEPTION_STEPS = """
DECLARE asked governance_policyexception;
BEGIN
  SELECT * INTO asked FROM governance_policyexception WHERE id = NEW.exception_id;
  IF NEW.kind = 'withdrawn' THEN
    PERFORM governance_people_guard(NEW.by_id);
    IF NOT EXISTS (SELECT FROM governance_policyexceptionstep WHERE exception_id = asked.id AND kind = 'accepted') THEN
      RAISE EXCEPTION 'refused: exception % is not in force', asked.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  PERFORM governance_people_guard(asked.requested_by_id, NEW.by_id);
  IF NEW.by_id = asked.owner_id OR EXISTS (
    SELECT FROM governance_modelversion m JOIN governance_user u ON u.id IN (m.author_id, m.registered_by_id)
     WHERE m.id = asked.model_version_id AND NEW.by_id IN (u.id, u.owner_id)) THEN
    RAISE EXCEPTION 'refused: % took part in what is to be excused', NEW.by_id USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM governance_policyexceptionstep WHERE exception_id = asked.id) OR asked.expires_at <= NEW.at THEN
    RAISE EXCEPTION 'refused: exception % was answered or ran out', asked.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

OVERRIDES = """
BEGIN
  PERFORM governance_people_guard(NEW.requested_by_id, NEW.review_owner_id);
  IF NOT EXISTS (SELECT FROM governance_decision WHERE id = NEW.decision_id AND state IN ('failed', 'error')) THEN
    RAISE EXCEPTION 'refused: decision % is no denial', NEW.decision_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

OVERRIDE_STEPS = """
DECLARE
  asked governance_override;
  approver text;
BEGIN
  SELECT * INTO asked FROM governance_override WHERE id = NEW.override_id;
  SELECT by_id INTO approver FROM governance_overridesteprecord WHERE override_id = asked.id AND kind = 'approved';
  IF NEW.kind IN ('approved', 'refused') THEN
    PERFORM governance_people_guard(asked.requested_by_id, NEW.by_id);
    IF asked.expires_at <= NEW.at
       OR EXISTS (SELECT FROM governance_overridesteprecord WHERE override_id = asked.id) THEN
      RAISE EXCEPTION 'refused: override % was answered or ran out', asked.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF approver IS NULL THEN
    RAISE EXCEPTION 'refused: override % was never approved', asked.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.kind = 'reviewed' THEN
    PERFORM governance_people_guard(asked.requested_by_id, approver, NEW.by_id);
  ELSE
    PERFORM governance_people_guard(NEW.by_id);
  END IF;
  RETURN NEW;
END
"""

TABLES = (
    "governance_policyexception",
    "governance_policyexceptionstep",
    "governance_override",
    "governance_overridesteprecord",
)
GUARDS = (
    insert_only(*TABLES)
    + checked("governance_policyexception", "governance_exception_guard", EXCEPTIONS)
    + checked("governance_policyexceptionstep", "governance_exception_step_guard", EXCEPTION_STEPS)
    + checked("governance_override", "governance_override_guard", OVERRIDES)
    + checked("governance_overridesteprecord", "governance_override_step_guard", OVERRIDE_STEPS)
    # Whoever answers waits for whoever answers at the same time by a lock on the row, which asks for this right.
    + "GRANT UPDATE (id) ON governance_policyexception, governance_override TO mn_app;"
)


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0012_lineage_without_circles"),
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
            name="Override",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ovr",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("reason", models.TextField()),
                ("ticket_url", models.URLField(max_length=500)),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("review_due_at", models.DateTimeField()),
                (
                    "decision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="overrides", to="governance.decision"
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "review_owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-requested_at",),
            },
        ),
        migrations.CreateModel(
            name="OverrideStepRecord",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ovs",), **{}),
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
                            ("approved", "Approved"),
                            ("refused", "Refused"),
                            ("ended", "Ended"),
                            ("reviewed", "Reviewed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "statement",
                    models.BinaryField(
                        help_text="The signed DSSE envelope of an approval, exactly as issued.", null=True
                    ),
                ),
                ("statement_digest", models.CharField(blank=True, max_length=71)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "override",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="steps", to="governance.override"
                    ),
                ),
            ],
            options={
                "ordering": ("at",),
            },
        ),
        migrations.CreateModel(
            name="PolicyException",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("exc",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("rule", models.CharField(help_text="Id of the rule, as the policy names it.", max_length=80)),
                ("environment", models.SlugField(max_length=80)),
                ("reason", models.TextField()),
                ("risk", models.TextField(help_text="The risk that is accepted.")),
                ("compensating_control", models.TextField(help_text="What is done instead.")),
                ("requested_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "model_version",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="exceptions",
                        to="governance.modelversion",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        help_text="Who answers for the risk.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="exceptions",
                        to="governance.aisystem",
                    ),
                ),
            ],
            options={
                "ordering": ("-requested_at",),
            },
        ),
        migrations.CreateModel(
            name="PolicyExceptionStep",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("exs",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("accepted", "Accepted"), ("refused", "Refused"), ("withdrawn", "Withdrawn")],
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "exception",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="steps",
                        to="governance.policyexception",
                    ),
                ),
            ],
            options={
                "ordering": ("at",),
            },
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_at__gt", models.F("requested_at")),
                    (
                        "expires_at__lte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("requested_at"), "+", models.Value(datetime.timedelta(days=3))
                        ),
                    ),
                ),
                name="override_ends_within_72_hours",
            ),
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.GreaterThanOrEqual(
                    django.db.models.functions.text.Length("reason"), 30
                ),
                name="override_says_why",
            ),
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.CheckConstraint(
                condition=models.Q(("ticket_url__startswith", "https://")), name="override_names_a_ticket"
            ),
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.CheckConstraint(
                condition=models.Q(("review_owner", models.F("requested_by")), _negated=True),
                name="override_is_reviewed_by_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="override",
            constraint=models.CheckConstraint(
                condition=models.Q(("review_due_at__gt", models.F("requested_at"))),
                name="override_is_reviewed_afterwards",
            ),
        ),
        migrations.AddConstraint(
            model_name="overridesteprecord",
            constraint=models.UniqueConstraint(fields=("override", "kind"), name="override_step_once"),
        ),
        migrations.AddConstraint(
            model_name="overridesteprecord",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "approved"), ("statement__isnull", False)),
                    models.Q(models.Q(("kind", "approved"), _negated=True), ("statement", None)),
                    _connector="OR",
                ),
                name="override_approval_is_signed",
            ),
        ),
        migrations.AddConstraint(
            model_name="policyexception",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_at__gt", models.F("requested_at")),
                    (
                        "expires_at__lte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("requested_at"), "+", models.Value(datetime.timedelta(days=180))
                        ),
                    ),
                ),
                name="exception_ends_within_180_days",
            ),
        ),
        migrations.AddConstraint(
            model_name="policyexception",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("model_version", None), ("system__isnull", False)),
                    models.Q(("model_version__isnull", False), ("system", None)),
                    _connector="OR",
                ),
                name="exception_is_about_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="policyexceptionstep",
            constraint=models.UniqueConstraint(fields=("exception", "kind"), name="exception_step_once"),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
