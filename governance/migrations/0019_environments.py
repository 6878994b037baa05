"""What runs where: aliases as bindings in time, retirements, snapshots and what does not agree in them."""

import django.contrib.postgres.fields
import django.db.models.deletion
from functools import partial
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.migrations._guards import captured, insert_only

# One version at a time for each alias of each model. Equality of texts has no place in an index of ranges without an
# extension that not every server has, so the two names stand there as the range of one number, their 64-bit hash.
BINDINGS = """
ALTER TABLE governance_aliasbinding ADD CONSTRAINT alias_names_one_version_at_a_time EXCLUDE USING gist (
  int8range(hashtextextended(model_id || '/' || alias, 0), hashtextextended(model_id || '/' || alias, 0), '[]') WITH &&,
  tstzrange(bound_from, bound_to) WITH &&);

CREATE FUNCTION governance_alias_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NOT EXISTS (SELECT FROM governance_modelversion WHERE id = NEW.model_version_id AND model_id = NEW.model_id) THEN
      RAISE EXCEPTION 'alias binding %: the version is none of the model', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
  ELSIF OLD.bound_to IS NOT NULL OR NEW.bound_to IS NULL OR NEW.ended_by_id IS NULL
     OR (to_jsonb(NEW) - 'bound_to' - 'ended_by_id') IS DISTINCT FROM (to_jsonb(OLD) - 'bound_to' - 'ended_by_id') THEN
    RAISE EXCEPTION 'alias binding %: only its end is written, and that once', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER history_kept BEFORE INSERT OR UPDATE ON governance_aliasbinding
  FOR EACH ROW EXECUTE FUNCTION governance_alias_guard();
CREATE TRIGGER binding_kept BEFORE DELETE ON governance_aliasbinding
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON governance_aliasbinding
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON governance_aliasbinding FROM mn_app;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0018_passkeys"),
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
            name="AliasBinding",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "alb"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("alias", models.SlugField(max_length=80)),
                ("bound_from", models.DateTimeField()),
                ("bound_to", models.DateTimeField(null=True)),
                (
                    "observed_via",
                    models.CharField(help_text="Where it was seen: the API, or a registry's name.", max_length=80),
                ),
                (
                    "bound_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="alias_bindings",
                        to="governance.model",
                    ),
                ),
                (
                    "model_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="alias_bindings",
                        to="governance.modelversion",
                    ),
                ),
            ],
            options={
                "ordering": ("-bound_from",),
            },
        ),
        migrations.CreateModel(
            name="EnvironmentSnapshot",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "snp"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("environment", models.SlugField(max_length=80)),
                (
                    "running",
                    models.JSONField(
                        help_text="All that runs: where, which digest, and of which model where that is known."
                    ),
                ),
                ("digest", models.CharField(help_text="Of the list, as canonical JSON.", max_length=71)),
                ("taken_at", models.DateTimeField(help_text="By the agent's clock.")),
                ("received_at", models.DateTimeField()),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-received_at",),
            },
        ),
        migrations.CreateModel(
            name="Retirement",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "ret"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("reason", models.TextField()),
                ("retired_at", models.DateTimeField()),
                (
                    "deployment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="retirement",
                        to="governance.deployment",
                    ),
                ),
                (
                    "retired_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-retired_at",),
            },
        ),
        migrations.CreateModel(
            name="Discrepancy",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "dsc"),
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
                            ("unapproved", "Runs without approval"),
                            ("other_digest", "Other bytes than were deployed"),
                            ("not_deployed", "Allowed and runs, and no deployment is recorded"),
                            ("not_running", "Deployed and not running"),
                            ("decision_ended", "Runs after its decision ended"),
                        ],
                        max_length=20,
                    ),
                ),
                ("place", models.CharField(blank=True, max_length=200)),
                ("observed_digest", models.CharField(blank=True, max_length=71)),
                ("detail", models.TextField()),
                (
                    "decision",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.decision",
                    ),
                ),
                (
                    "deployment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="discrepancies",
                        to="governance.deployment",
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="discrepancies",
                        to="governance.environmentsnapshot",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "discrepancies",
                "ordering": ("-snapshot__received_at", "id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("snapshot", "kind", "place", "observed_digest", "deployment"),
                        name="discrepancy_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.RunSQL(
            insert_only("governance_retirement", "governance_environmentsnapshot", "governance_discrepancy")
            + BINDINGS
            + captured("governance_aliasbinding"),
            migrations.RunSQL.noop,
        ),
    ]
