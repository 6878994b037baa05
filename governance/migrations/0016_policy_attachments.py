"""Policies are attached to an environment and a tier for a time, by two people."""

import django.db.models.deletion
import functools
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.migrations._guards import captured, checked, insert_only

# What governed an environment until now goes on to, from when the policy was made. Nobody attached it.
CARRIED_OVER = """
INSERT INTO governance_policyattachment (id, policy_id, environment, tier, valid_from)
SELECT 'pat' || substr(id, 4), id, environment, '', created_at FROM governance_policy;
-- What the insert left to check at the end would hold up the changes of the tables below.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""

PLACES = """
-- A range of texts, so that one place can be told from another in an exclusion constraint without an extension.
CREATE TYPE governance_place AS RANGE (subtype = text, collation = "C");
ALTER TABLE governance_policyattachment
  ADD CONSTRAINT policy_attachment_ends_after_it_began CHECK (valid_to > valid_from),
  ADD CONSTRAINT policy_attachment_ended_by_somebody
    CHECK (num_nulls(valid_to, detached_under_id, detached_by_id) IN (0, 3)),
  ADD CONSTRAINT policy_attachment_one_at_a_time EXCLUDE USING gist (
    governance_place(environment, environment, '[]') WITH &&,
    governance_place(tier, tier, '[]') WITH &&,
    tstzrange(valid_from, valid_to) WITH &&);

-- A step by two people: the proposal is about this place and policy, and another person without power over the
-- installation confirms it.
CREATE FUNCTION governance_attachment_step(
  step text, place text[], proposal_id text, confirmed_by text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  proposal governance_attachmentproposal;
BEGIN
  SELECT * INTO proposal FROM governance_attachmentproposal WHERE id = proposal_id;
  IF proposal.id IS NULL OR (proposal.environment, proposal.tier) IS DISTINCT FROM (place[1], place[2])
     OR NOT (proposal.kind = 'attach' AND proposal.policy_id = place[3]
             OR step = 'end' AND (proposal.kind = 'attach' OR proposal.policy_id = place[3])) THEN
    RAISE EXCEPTION 'refused: nobody proposed this for %', place USING ERRCODE = 'restrict_violation';
  END IF;
  IF confirmed_by IS NULL THEN
    RAISE EXCEPTION 'refused: nobody confirmed %', proposal.id USING ERRCODE = 'restrict_violation';
  END IF;
  PERFORM governance_people_guard(proposal.proposed_by_id, confirmed_by);
END $$;

CREATE FUNCTION governance_attachment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.valid_to IS NOT NULL THEN
      RAISE EXCEPTION 'refused: an attachment begins before it ends' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM governance_attachment_step(
      'begin', ARRAY[NEW.environment, NEW.tier, NEW.policy_id], NEW.attached_under_id, NEW.attached_by_id);
    RETURN NEW;
  END IF;
  IF OLD.valid_to IS NOT NULL
     OR (NEW.id, NEW.policy_id, NEW.environment, NEW.tier, NEW.valid_from, NEW.attached_under_id, NEW.attached_by_id)
        IS DISTINCT FROM
        (OLD.id, OLD.policy_id, OLD.environment, OLD.tier, OLD.valid_from, OLD.attached_under_id, OLD.attached_by_id)
     OR NEW.valid_to IS NULL THEN
    RAISE EXCEPTION 'attachment %: it ends once, and nothing else of it changes', OLD.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  PERFORM governance_attachment_step(
    'end', ARRAY[NEW.environment, NEW.tier, NEW.policy_id], NEW.detached_under_id, NEW.detached_by_id);
  RETURN NEW;
END $$;
CREATE TRIGGER two_people BEFORE INSERT OR UPDATE ON governance_policyattachment
  FOR EACH ROW EXECUTE FUNCTION governance_attachment_guard();
CREATE TRIGGER attachment_kept BEFORE DELETE ON governance_policyattachment
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON governance_policyattachment
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON governance_policyattachment FROM mn_app;
"""

PROPOSALS = """
BEGIN
  PERFORM governance_people_guard(NEW.proposed_by_id);
  RETURN NEW;
END
"""

GUARDS = (
    PLACES
    + captured("governance_policyattachment")
    + insert_only("governance_attachmentproposal")
    + checked("governance_attachmentproposal", "governance_attachment_proposal_guard", PROPOSALS)
)
UNDO = """
DROP FUNCTION governance_attachment_proposal_guard() CASCADE;
DROP FUNCTION governance_attachment_guard() CASCADE;
DROP FUNCTION governance_attachment_step(text, text[], text, text) CASCADE;
DROP TYPE governance_place CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0015_attestation_periods"),
    ]

    operations = [
        migrations.CreateModel(
            name="AttachmentProposal",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("pap",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.CharField(choices=[("attach", "Attach"), ("detach", "Detach")], max_length=10)),
                ("environment", models.SlugField(max_length=80)),
                ("tier", models.SlugField(blank=True, help_text="Risk tier; empty for all tiers.", max_length=40)),
                ("reason", models.TextField()),
                ("proposed_at", models.DateTimeField()),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="governance.policy"
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
            name="PolicyAttachment",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("pat",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("environment", models.SlugField(max_length=80)),
                ("tier", models.SlugField(blank=True, help_text="Risk tier; empty for all tiers.", max_length=40)),
                ("valid_from", models.DateTimeField()),
                ("valid_to", models.DateTimeField(null=True)),
                (
                    "attached_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "attached_under",
                    models.OneToOneField(
                        help_text="Only what was in force before attaching took two people has none.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attachment",
                        to="governance.attachmentproposal",
                    ),
                ),
                (
                    "detached_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "detached_under",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="detachment",
                        to="governance.attachmentproposal",
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="attachments", to="governance.policy"
                    ),
                ),
            ],
            options={
                "ordering": ("environment", "tier", "-valid_from"),
            },
        ),
        migrations.AddField(
            model_name="attachmentproposal",
            name="replaces",
            field=models.ForeignKey(
                help_text="What was in force there when it was proposed; if that changed, it cannot be confirmed any more.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.policyattachment",
            ),
        ),
        migrations.RunSQL(CARRIED_OVER, migrations.RunSQL.noop),
        migrations.RemoveField(
            model_name="policy",
            name="environment",
        ),
        migrations.RunSQL(GUARDS, UNDO),
    ]
