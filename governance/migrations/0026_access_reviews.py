"""Accounts are closed for good, and what everybody holds is reviewed line by line by somebody else."""

import functools
from typing import Any

import django.db.models.deletion
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.migrations._guards import checked, insert_only

ACCOUNTS = """
-- A closed account stays closed, and somebody administers the installation.
CREATE FUNCTION governance_account_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.is_active AND NOT OLD.is_active
     AND EXISTS (SELECT FROM governance_deactivation WHERE user_id = OLD.id) THEN
    RAISE EXCEPTION 'account % is closed for good; make a new one', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.is_superuser AND OLD.is_active AND NOT (NEW.is_superuser AND NEW.is_active)
     AND NOT EXISTS (SELECT FROM governance_user WHERE is_superuser AND is_active AND id <> OLD.id) THEN
    RAISE EXCEPTION 'account % is the last administrator', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER account_closed BEFORE UPDATE OF is_active, is_superuser ON governance_user
  FOR EACH ROW EXECUTE FUNCTION governance_account_guard();
"""

DEACTIVATION = """
BEGIN
  IF NEW.deactivated_by_id = NEW.user_id OR NEW.reason = ''
     OR NOT EXISTS (SELECT FROM governance_user WHERE id = NEW.deactivated_by_id AND is_active AND is_superuser) THEN
    RAISE EXCEPTION 'refused: another administrator closes the account %, with a reason', NEW.user_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

REVIEWER = """
-- Who reviews access is an officer of the whole organisation.
CREATE FUNCTION governance_access_reviewer(person text, moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM governance_people_guard(person);
  IF NOT governance_role_held(person, ARRAY['compliance', 'model_risk', 'privacy'], NULL, moment) THEN
    RAISE EXCEPTION 'refused: % is no officer of the whole organisation', person USING ERRCODE = 'restrict_violation';
  END IF;
END $$;
"""

OPENED = """
BEGIN
  PERFORM governance_access_reviewer(NEW.opened_by_id, NEW.opened_at);
  RETURN NEW;
END
"""

LINES = """
BEGIN
  IF EXISTS (SELECT FROM governance_accessreviewclosing WHERE review_id = NEW.review_id)
     OR EXISTS (SELECT FROM governance_accessdecision d JOIN governance_accessreviewline l ON l.id = d.line_id
                 WHERE l.review_id = NEW.review_id) THEN
    RAISE EXCEPTION 'refused: the list of review % is frozen', NEW.review_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

DECISIONS = """
DECLARE
  line governance_accessreviewline;
BEGIN
  PERFORM governance_access_reviewer(NEW.by_id, NEW.at);
  SELECT * INTO line FROM governance_accessreviewline WHERE id = NEW.line_id;
  IF EXISTS (SELECT FROM governance_user WHERE id = line.account_id AND NEW.by_id IN (id, owner_id)) THEN
    RAISE EXCEPTION 'refused: % cannot review their own access', NEW.by_id USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM governance_accessreviewclosing WHERE review_id = line.review_id) THEN
    RAISE EXCEPTION 'refused: review % is closed', line.review_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

CLOSINGS = """
BEGIN
  PERFORM governance_access_reviewer(NEW.by_id, NEW.at);
  IF EXISTS (SELECT FROM governance_accessreviewline l
              WHERE l.review_id = NEW.review_id
                AND NOT EXISTS (SELECT FROM governance_accessdecision d WHERE d.line_id = l.id)) THEN
    RAISE EXCEPTION 'refused: not every line of review % is decided', NEW.review_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

GUARDS = (
    ACCOUNTS
    + REVIEWER
    + insert_only(
        "governance_deactivation",
        "governance_accessreview",
        "governance_accessreviewline",
        "governance_accessdecision",
        "governance_accessreviewclosing",
    )
    + checked("governance_deactivation", "governance_deactivation_guard", DEACTIVATION)
    + checked("governance_accessreview", "governance_access_review_guard", OPENED)
    + checked("governance_accessreviewline", "governance_access_line_guard", LINES)
    + checked("governance_accessdecision", "governance_access_decision_guard", DECISIONS)
    + checked("governance_accessreviewclosing", "governance_access_closing_guard", CLOSINGS)
)


def identity(prefix: str) -> Any:
    return models.CharField(
        default=functools.partial(modelnotary.ids.new_id, prefix),
        editable=False,
        max_length=40,
        primary_key=True,
        serialize=False,
    )


def to(model: str, related_name: str = "+", one: bool = False, **more: Any) -> Any:
    field: Any = models.OneToOneField if one else models.ForeignKey
    return field(on_delete=django.db.models.deletion.PROTECT, related_name=related_name, to=model, **more)


USER = settings.AUTH_USER_MODEL


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0025_auditors_for_a_time"),
    ]

    operations = [
        migrations.CreateModel(
            name="Deactivation",
            fields=[
                ("id", identity("dea")),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
                ("deactivated_by", to(USER)),
                ("user", to(USER, "deactivation", one=True)),
            ],
            options={"ordering": ("-at",)},
        ),
        migrations.CreateModel(
            name="AccessReview",
            fields=[
                ("id", identity("acr")),
                ("opened_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("opened_by", to(USER)),
            ],
            options={"ordering": ("-opened_at",)},
        ),
        migrations.CreateModel(
            name="AccessReviewLine",
            fields=[
                ("id", identity("arl")),
                ("rights", models.TextField(help_text="What it allows, in words.")),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                ("last_sign_in", models.DateTimeField(null=True)),
                ("last_signature", models.DateTimeField(null=True)),
                ("token_last_used", models.DateTimeField(null=True)),
                ("account", to(USER)),
                ("grant", to("governance.rolegrant", null=True)),
                ("review", to("governance.accessreview", "lines")),
                ("token", to("governance.apitoken", null=True)),
            ],
            options={
                "ordering": ("account__username", "id"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("grant__isnull", False), ("token__isnull", True)),
                            models.Q(("grant__isnull", True), ("token__isnull", False)),
                            _connector="OR",
                        ),
                        name="access_line_is_about_one_thing",
                    ),
                    models.UniqueConstraint(
                        fields=("review", "grant", "token"), name="access_line_once", nulls_distinct=False
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessDecision",
            fields=[
                ("id", identity("ard")),
                (
                    "kind",
                    models.CharField(choices=[("kept", "Confirmed"), ("removed", "Taken away")], max_length=10),
                ),
                ("reason", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                ("by", to(USER)),
                ("line", to("governance.accessreviewline", "decision", one=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind", "kept"), models.Q(("reason", ""), _negated=True), _connector="OR"),
                        name="access_taken_away_for_a_reason",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AccessReviewClosing",
            fields=[
                ("id", identity("arc")),
                ("at", models.DateTimeField()),
                ("by", to(USER)),
                ("review", to("governance.accessreview", "closing", one=True)),
            ],
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
