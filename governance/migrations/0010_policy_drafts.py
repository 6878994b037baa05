"""A policy is drafted by one person and published by another, for whoever writes SQL too."""

import django.contrib.postgres.fields
import django.db.models.deletion
import functools
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.migrations._guards import insert_only

PUBLICATION = """
ALTER TABLE governance_policydraft ADD CONSTRAINT policy_draft_digest_true
  CHECK (digest = 'sha256:' || encode(sha256(convert_to(document, 'UTF8')), 'hex'));

-- A draft ends once: it is published or withdrawn. Whoever comes second at the same moment waits here and then sees it.
CREATE FUNCTION governance_policy_draft_open(draft text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('governance.policy_draft ' || draft, 0));
  IF EXISTS (SELECT FROM governance_policyversion WHERE draft_id = draft)
     OR EXISTS (SELECT FROM governance_policywithdrawal WHERE draft_id = draft) THEN
    RAISE EXCEPTION 'policy draft % is published or withdrawn already', draft USING ERRCODE = 'restrict_violation';
  END IF;
END $$;

-- What is published is what somebody else drafted, and who publishes is a person without power over the installation.
CREATE FUNCTION governance_policy_version_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  draft governance_policydraft;
BEGIN
  SELECT * INTO draft FROM governance_policydraft WHERE id = NEW.draft_id;
  IF draft.id IS NULL THEN
    RAISE EXCEPTION 'policy version refused: it was never drafted' USING ERRCODE = 'restrict_violation';
  END IF;
  PERFORM governance_policy_draft_open(draft.id);
  IF (NEW.document, NEW.digest) IS DISTINCT FROM (draft.document, draft.digest)
     OR NOT EXISTS (SELECT FROM governance_policy WHERE id = NEW.policy_id AND slug = draft.slug) THEN
    RAISE EXCEPTION 'policy version refused: it is not what draft % says', draft.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT EXISTS (SELECT FROM governance_user
                  WHERE id = NEW.published_by_id AND is_active AND NOT is_service AND NOT is_superuser) THEN
    RAISE EXCEPTION 'policy version refused: % is a service account, a superuser or not active', NEW.published_by_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM governance_user
              WHERE id = draft.drafted_by_id AND NEW.published_by_id IN (id, owner_id)) THEN
    RAISE EXCEPTION 'policy version refused: % drafted it', NEW.published_by_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER second_person BEFORE INSERT ON governance_policyversion
  FOR EACH ROW EXECUTE FUNCTION governance_policy_version_guard();

CREATE FUNCTION governance_policy_withdrawal_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM governance_policy_draft_open(NEW.draft_id);
  RETURN NEW;
END $$;
CREATE TRIGGER draft_open BEFORE INSERT ON governance_policywithdrawal
  FOR EACH ROW EXECUTE FUNCTION governance_policy_withdrawal_guard();

-- Whoever wrote the rules does not sign under them, as whoever published them does not.
CREATE FUNCTION governance_signature_policy_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM governance_approvalrequest r
      JOIN governance_decision d ON d.id = r.decision_id
      JOIN governance_policyversion p ON p.id = d.policy_version_id
      JOIN governance_policydraft f ON f.id = p.draft_id
      JOIN governance_user u ON u.id = f.drafted_by_id
     WHERE r.id = NEW.request_id AND NEW.signer_id IN (u.id, u.owner_id)) THEN
    RAISE EXCEPTION 'signature refused: % drafted the policy', NEW.signer_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER policy_author BEFORE INSERT ON governance_signature
  FOR EACH ROW EXECUTE FUNCTION governance_signature_policy_guard();
"""

UNDO = """
DROP FUNCTION governance_signature_policy_guard() CASCADE;
DROP FUNCTION governance_policy_withdrawal_guard() CASCADE;
DROP FUNCTION governance_policy_version_guard() CASCADE;
DROP FUNCTION governance_policy_draft_open(text) CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0009_authenticators"),
    ]

    operations = [
        migrations.CreateModel(
            name="PolicyDraft",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("pdr",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slug", models.SlugField(help_text="The policy that it would be a version of.", max_length=80)),
                ("document", models.TextField()),
                ("digest", models.CharField(max_length=71)),
                ("drafted_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("-drafted_at",),
            },
        ),
        migrations.CreateModel(
            name="PolicyWithdrawal",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("pwd",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("reason", models.TextField()),
                ("withdrawn_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="policyversion",
            name="policy_version_text_once",
        ),
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
        migrations.AddField(
            model_name="policydraft",
            name="drafted_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="policyversion",
            name="draft",
            field=models.OneToOneField(
                help_text="What was published. Only versions from before publication took two people have none.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="version",
                to="governance.policydraft",
            ),
        ),
        migrations.AddField(
            model_name="policywithdrawal",
            name="draft",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="withdrawal", to="governance.policydraft"
            ),
        ),
        migrations.AddField(
            model_name="policywithdrawal",
            name="withdrawn_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddIndex(
            model_name="policydraft",
            index=models.Index(fields=["slug", "-drafted_at"], name="governance__slug_249549_idx"),
        ),
        migrations.RunSQL(insert_only("governance_policydraft", "governance_policywithdrawal") + PUBLICATION, UNDO),
    ]
