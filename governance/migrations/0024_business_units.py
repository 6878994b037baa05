"""Systems belong to business units, roles are held for one or for the whole organisation."""

import functools
from typing import Any

import django.db.models.deletion
import modelnotary.ids
from django.db import migrations, models

from governance.migrations._guards import insert_only

OVERLAPS = """
ALTER TABLE governance_rolegrant DROP CONSTRAINT role_held_once_at_a_time;
ALTER TABLE governance_rolegrant ADD CONSTRAINT role_held_once_at_a_time EXCLUDE USING gist (
  governance_place(person_id, person_id, '[]') WITH &&,
  governance_place(role, role, '[]') WITH &&,
  governance_place(coalesce(business_unit_id, ''), coalesce(business_unit_id, ''), '[]') WITH &&,
  tstzrange(valid_from, valid_to) WITH &&);

-- Whether somebody may sign or confirm in a role for a unit at a moment: held then, and not taken away since. Whoever
-- takes it away meanwhile waits for this transaction.
CREATE FUNCTION governance_role_held(person text, roles text[], unit text, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM governance_rolegrant
    WHERE person_id = person AND role = ANY (roles) AND valid_from <= moment
      AND (business_unit_id IS NULL OR business_unit_id = unit)
      AND (valid_to IS NULL OR valid_to > greatest(moment, now())) FOR SHARE;
  RETURN FOUND;
END $$;
"""

GRANTS = """
CREATE OR REPLACE FUNCTION governance_role_grant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  person governance_user;
  proposal governance_roleproposal;
  officers text[] := ARRAY['compliance', 'model_risk', 'privacy'];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF OLD.ended_by_id IS NOT NULL OR NEW.ended_by_id IS NULL OR NEW.valid_to IS NULL
       OR (to_jsonb(NEW) - 'valid_to' - 'ended_by_id' - 'end_reason')
          IS DISTINCT FROM (to_jsonb(OLD) - 'valid_to' - 'ended_by_id' - 'end_reason')
       OR NEW.valid_to > OLD.valid_to OR NEW.valid_to < now() - interval '5 minutes' THEN
      RAISE EXCEPTION 'role %: it is taken away once, from now on, and nothing else of it changes', OLD.id
        USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM governance_user WHERE id = NEW.ended_by_id AND is_active AND is_superuser)
       AND NOT governance_role_held(NEW.ended_by_id, officers, OLD.business_unit_id, NEW.valid_to) THEN
      RAISE EXCEPTION 'refused: % is neither an administrator nor an officer there', NEW.ended_by_id
        USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  -- Two roles for one person at the same moment: the second waits here and then sees the first.
  SELECT * INTO person FROM governance_user WHERE id = NEW.person_id FOR NO KEY UPDATE;
  IF person.is_service OR person.is_superuser OR NOT person.is_active THEN
    RAISE EXCEPTION 'refused: % is a service account, an administrator or not active', NEW.person_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.ended_by_id IS NOT NULL THEN
    RAISE EXCEPTION 'refused: a role is held before it is taken away' USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM governance_rolegrant g
              WHERE g.person_id = NEW.person_id
                AND governance_duty_line(g.role) IS DISTINCT FROM governance_duty_line(NEW.role)
                AND tstzrange(g.valid_from, g.valid_to) && tstzrange(NEW.valid_from, NEW.valid_to)) THEN
    RAISE EXCEPTION 'refused: % holds a role of another line of duty', NEW.person_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.origin = 'account' THEN
    IF least(person.date_joined, NEW.valid_from) < now() - interval '5 minutes' THEN
      RAISE EXCEPTION 'refused: the account of % was made before; two people grant it a role', NEW.person_id
        USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  SELECT * INTO proposal FROM governance_roleproposal WHERE id = NEW.proposal_id;
  IF NEW.origin <> 'officers'
     OR (proposal.person_id, proposal.role, proposal.business_unit_id)
        IS DISTINCT FROM (NEW.person_id, NEW.role, NEW.business_unit_id)
     OR proposal.ends_at IS DISTINCT FROM NEW.valid_to OR NEW.valid_from < now() - interval '5 minutes' THEN
    RAISE EXCEPTION 'refused: nobody proposed this role for % from now on', NEW.person_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.confirmed_by_id IN (NEW.person_id, proposal.proposed_by_id)
     OR NOT EXISTS (SELECT FROM governance_user
                     WHERE id = NEW.confirmed_by_id AND is_active AND NOT is_service AND NOT is_superuser)
     OR NOT governance_role_held(NEW.confirmed_by_id, officers, NEW.business_unit_id, NEW.valid_from) THEN
    RAISE EXCEPTION 'refused: % is no officer who could confirm a role of %', NEW.confirmed_by_id, NEW.person_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- The role under a signature is one that the signer holds as they sign, where the system belongs.
CREATE OR REPLACE FUNCTION governance_signature_role_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  unit text;
BEGIN
  SELECT s.business_unit_id INTO unit
    FROM governance_approvalrequest r
    JOIN governance_decision d ON d.id = r.decision_id
    JOIN governance_modelversion v ON v.id = d.model_version_id
    JOIN governance_model m ON m.id = v.model_id
    JOIN governance_aisystem s ON s.id = m.system_id
   WHERE r.id = NEW.request_id;
  IF NOT governance_role_held(NEW.signer_id, ARRAY[NEW.role]::text[], unit, NEW.signed_at) THEN
    RAISE EXCEPTION 'signature refused: % does not hold the role % there', NEW.signer_id, NEW.role
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
DROP FUNCTION governance_role_held(text, text[], timestamptz);
"""


def unit(related_name: str, **more: Any) -> Any:
    return models.ForeignKey(
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related_name,
        to="governance.businessunit",
        **more,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0023_role_grants"),
    ]

    operations = [
        migrations.CreateModel(
            name="BusinessUnit",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, "bun"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("name", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
            ],
            options={"ordering": ("slug",)},
        ),
        migrations.AddField(
            model_name="aisystem",
            name="business_unit",
            field=unit("systems", blank=True, help_text="Whose system it is; none is that of the whole organisation."),
        ),
        migrations.AddField(
            model_name="user",
            name="business_unit",
            field=unit(
                "service_accounts",
                blank=True,
                help_text="The only unit that a service account works for. People hold roles for units.",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("business_unit__isnull", True), ("is_service", True), _connector="OR"),
                name="only_service_accounts_have_a_unit",
            ),
        ),
        migrations.AddField(model_name="roleproposal", name="business_unit", field=unit("+")),
        migrations.AddField(
            model_name="rolegrant",
            name="business_unit",
            field=unit("role_grants", help_text="Where the role counts; none is everywhere."),
        ),
        migrations.RunSQL(OVERLAPS + GRANTS + insert_only("governance_businessunit"), migrations.RunSQL.noop),
    ]
