"""Roles are held for a time: proposed by an administrator, confirmed by an officer, taken away by either."""

import functools
from typing import Any

import django.db.models.deletion
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.migrations._guards import captured, checked, insert_only

ROLES = [
    ("compliance", "Compliance officer"),
    ("model_risk", "Model risk officer"),
    ("privacy", "Privacy officer"),
    ("engineer", "Engineer"),
    ("auditor", "Auditor"),
    ("model_owner", "Model owner"),
    ("validator", "Validator"),
]

# Who held a role goes on to, auditors for a year. Nobody granted it, and it may be of another line of duty than another
# one held.
CARRIED_OVER = """
INSERT INTO governance_rolegrant (id, person_id, role, origin, valid_from, valid_to, end_reason)
SELECT 'rgr' || substr(u.id, 4) || '_' || left(r.role, 3), u.id, r.role, 'carried_over', u.date_joined,
       CASE WHEN r.role = 'auditor' THEN now() + interval '365 days' END, ''
  FROM governance_user u CROSS JOIN LATERAL (SELECT DISTINCT unnest(u.roles) AS role) r;
-- What the insert left to check at the end would hold up the changes of the tables below.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""

RULES = """
ALTER TABLE governance_rolegrant
  ADD CONSTRAINT role_held_once_at_a_time EXCLUDE USING gist (
    governance_place(person_id, person_id, '[]') WITH &&,
    governance_place(role, role, '[]') WITH &&,
    tstzrange(valid_from, valid_to) WITH &&);

-- The three lines of duty. A person holds roles of one of them at a time.
CREATE FUNCTION governance_duty_line(role text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN role IN ('engineer', 'model_owner') THEN 'first'
              WHEN role IN ('validator', 'compliance', 'model_risk', 'privacy') THEN 'second'
              WHEN role = 'auditor' THEN 'third' END
$$;

-- Whether somebody may sign or confirm in a role at a moment: held then, and not taken away since. Whoever takes it away
-- meanwhile waits for this transaction.
CREATE FUNCTION governance_role_held(person text, roles text[], moment timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM governance_rolegrant
    WHERE person_id = person AND role = ANY (roles) AND valid_from <= moment
      AND (valid_to IS NULL OR valid_to > greatest(moment, now())) FOR SHARE;
  RETURN FOUND;
END $$;

CREATE FUNCTION governance_role_grant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  person governance_user;
  proposal governance_roleproposal;
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
       AND NOT governance_role_held(NEW.ended_by_id, ARRAY['compliance', 'model_risk', 'privacy'], NEW.valid_to) THEN
      RAISE EXCEPTION 'refused: % is neither an administrator nor an officer', NEW.ended_by_id
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
  IF NEW.origin <> 'officers' OR (proposal.person_id, proposal.role) IS DISTINCT FROM (NEW.person_id, NEW.role)
     OR proposal.ends_at IS DISTINCT FROM NEW.valid_to OR NEW.valid_from < now() - interval '5 minutes' THEN
    RAISE EXCEPTION 'refused: nobody proposed this role for % from now on', NEW.person_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.confirmed_by_id IN (NEW.person_id, proposal.proposed_by_id)
     OR NOT EXISTS (SELECT FROM governance_user
                     WHERE id = NEW.confirmed_by_id AND is_active AND NOT is_service AND NOT is_superuser)
     OR NOT governance_role_held(NEW.confirmed_by_id, ARRAY['compliance', 'model_risk', 'privacy'], NEW.valid_from) THEN
    RAISE EXCEPTION 'refused: % is no officer who could confirm a role of %', NEW.confirmed_by_id, NEW.person_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER two_people BEFORE INSERT OR UPDATE ON governance_rolegrant
  FOR EACH ROW EXECUTE FUNCTION governance_role_grant_guard();
CREATE TRIGGER grant_kept BEFORE DELETE ON governance_rolegrant
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON governance_rolegrant
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON governance_rolegrant FROM mn_app;

-- The role under a signature is one that the signer holds as they sign.
CREATE FUNCTION governance_signature_role_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT governance_role_held(NEW.signer_id, ARRAY[NEW.role]::text[], NEW.signed_at) THEN
    RAISE EXCEPTION 'signature refused: % does not hold the role %', NEW.signer_id, NEW.role
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER role_held BEFORE INSERT ON governance_signature
  FOR EACH ROW EXECUTE FUNCTION governance_signature_role_guard();
"""

PROPOSALS = """
BEGIN
  IF NOT EXISTS (SELECT FROM governance_user WHERE id = NEW.proposed_by_id AND is_active AND is_superuser) THEN
    RAISE EXCEPTION 'refused: % is no administrator', NEW.proposed_by_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

GUARDS = (
    RULES
    + captured("governance_rolegrant")
    + insert_only("governance_roleproposal")
    + checked("governance_roleproposal", "governance_role_proposal_guard", PROPOSALS)
)
UNDO = """
DROP FUNCTION governance_role_proposal_guard() CASCADE;
DROP FUNCTION governance_signature_role_guard() CASCADE;
DROP FUNCTION governance_role_grant_guard() CASCADE;
DROP FUNCTION governance_role_held(text, text[], timestamptz) CASCADE;
DROP FUNCTION governance_duty_line(text) CASCADE;
"""


def person(related_name: str = "+", null: bool = False) -> Any:
    return models.ForeignKey(
        null=null,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related_name,
        to=settings.AUTH_USER_MODEL,
    )


def identity(prefix: str) -> Any:
    return models.CharField(
        default=functools.partial(modelnotary.ids.new_id, prefix),
        editable=False,
        max_length=40,
        primary_key=True,
        serialize=False,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0022_predictions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="signature", name="role", field=models.CharField(choices=ROLES, max_length=20)
        ),
        migrations.CreateModel(
            name="RoleProposal",
            fields=[
                ("id", identity("rpr")),
                ("role", models.CharField(choices=ROLES, max_length=20)),
                ("ends_at", models.DateTimeField(help_text="When the role ends by itself.", null=True)),
                ("reason", models.TextField()),
                ("proposed_at", models.DateTimeField()),
                ("person", person("role_proposals")),
                ("proposed_by", person()),
            ],
            options={"ordering": ("-proposed_at",)},
        ),
        migrations.CreateModel(
            name="RoleGrant",
            fields=[
                ("id", identity("rgr")),
                ("role", models.CharField(choices=ROLES, max_length=20)),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("officers", "Proposed by an administrator, confirmed by an officer"),
                            ("account", "Came with the account, which the installation's operator made"),
                            ("carried_over", "Held before roles were granted for a time"),
                        ],
                        max_length=20,
                    ),
                ),
                ("valid_from", models.DateTimeField()),
                ("valid_to", models.DateTimeField(null=True)),
                ("end_reason", models.TextField(blank=True)),
                ("confirmed_by", person(null=True)),
                ("ended_by", person(null=True)),
                ("person", person("role_grants")),
                (
                    "proposal",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grant",
                        to="governance.roleproposal",
                    ),
                ),
            ],
            options={
                "ordering": ("-valid_from", "role"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("valid_to__isnull", True), ("valid_to__gte", models.F("valid_from")), _connector="OR"
                        ),
                        name="role_ends_after_it_began",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("end_reason", ""), ("ended_by__isnull", True)),
                            models.Q(
                                ("ended_by__isnull", False),
                                ("valid_to__isnull", False),
                                models.Q(("end_reason", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="role_taken_away_by_somebody_with_a_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("confirmed_by__isnull", False), ("origin", "officers"), ("proposal__isnull", False)
                            ),
                            models.Q(
                                models.Q(("origin", "officers"), _negated=True),
                                ("confirmed_by__isnull", True),
                                ("proposal__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="role_granted_by_two_or_marked",
                    ),
                ],
            },
        ),
        migrations.RunSQL(CARRIED_OVER, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="user", name="roles"),
        migrations.RunSQL(GUARDS, UNDO),
    ]
