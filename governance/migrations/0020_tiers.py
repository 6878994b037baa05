"""Risk tiers: templates by two people, assessments that never change, published by somebody independent."""

import django.contrib.postgres.fields
import django.db.models.deletion
import functools
import modelnotary.ids
from django.conf import settings
from django.db import migrations, models

from governance.migrations._guards import checked, insert_only

TABLES = (
    "governance_tiertemplate",
    "governance_tiertemplatedraft",
    "governance_tiertemplatewithdrawal",
    "governance_tiertemplateversion",
    "governance_tierassessment",
    "governance_tierconfirmation",
    "governance_tierpublication",
    "governance_tierwithdrawal",
)

TEMPLATES = """
ALTER TABLE governance_tiertemplatedraft ADD CONSTRAINT tier_template_draft_digest_true
  CHECK (digest = 'sha256:' || encode(sha256(convert_to(document, 'UTF8')), 'hex'));
ALTER TABLE governance_tiertemplateversion ADD CONSTRAINT tier_template_tiers_named
  CHECK (cardinality(tiers) BETWEEN 2 AND 10 AND '' <> ALL (tiers));

-- An active person without power over the installation, who did not take the step before, neither as the person nor as
-- the owner of the service account that did.
CREATE FUNCTION governance_second_person(judge text, first text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM governance_user
                  WHERE id = judge AND is_active AND NOT is_service AND NOT is_superuser) THEN
    RAISE EXCEPTION 'refused: % is a service account, a superuser or not active', judge
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM governance_user WHERE id = first AND judge IN (id, owner_id)) THEN
    RAISE EXCEPTION 'refused: % took part in this already', judge USING ERRCODE = 'restrict_violation';
  END IF;
END $$;

-- A draft ends once: it is published or withdrawn. Whoever comes second at the same moment waits here and then sees it.
CREATE FUNCTION governance_tier_draft_open(draft text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('governance.tier_template_draft ' || draft, 0));
  IF EXISTS (SELECT FROM governance_tiertemplateversion WHERE draft_id = draft)
     OR EXISTS (SELECT FROM governance_tiertemplatewithdrawal WHERE draft_id = draft) THEN
    RAISE EXCEPTION 'tier template draft % is published or withdrawn already', draft
      USING ERRCODE = 'restrict_violation';
  END IF;
END $$;
"""

VERSIONS = """
DECLARE
  draft governance_tiertemplatedraft;
BEGIN
  SELECT * INTO draft FROM governance_tiertemplatedraft WHERE id = NEW.draft_id;
  PERFORM governance_tier_draft_open(draft.id);
  PERFORM governance_second_person(NEW.published_by_id, draft.drafted_by_id);
  IF (NEW.document, NEW.digest) IS DISTINCT FROM (draft.document, draft.digest)
     OR NOT EXISTS (SELECT FROM governance_tiertemplate WHERE id = NEW.template_id AND slug = draft.slug) THEN
    RAISE EXCEPTION 'tier template version refused: it is not what draft % says', draft.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

TEMPLATE_WITHDRAWALS = """
BEGIN
  PERFORM governance_tier_draft_open(NEW.draft_id);
  RETURN NEW;
END
"""

ASSESSMENTS_TRUE = """
ALTER TABLE governance_tierassessment
  ADD CONSTRAINT tier_assessment_snapshot_digest_true
    CHECK (snapshot_digest = 'sha256:' || encode(sha256(snapshot), 'hex')),
  ADD CONSTRAINT tier_assessment_working_digest_true
    CHECK (working_digest = 'sha256:' || encode(sha256(working), 'hex')),
  ADD CONSTRAINT tier_assessment_other_tier_has_a_reason
    CHECK (final = suggested OR length(btrim(reason)) >= 20);

CREATE FUNCTION governance_tier_assessment_open(assessment text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('governance.tier_assessment ' || assessment, 0));
  IF EXISTS (SELECT FROM governance_tierpublication WHERE assessment_id = assessment)
     OR EXISTS (SELECT FROM governance_tierwithdrawal WHERE assessment_id = assessment) THEN
    RAISE EXCEPTION 'tier assessment % is published or withdrawn already', assessment
      USING ERRCODE = 'restrict_violation';
  END IF;
END $$;

CREATE FUNCTION governance_tier_lowered(assessment governance_tierassessment) RETURNS boolean LANGUAGE sql AS $$
  SELECT array_position(tiers, assessment.final) < array_position(tiers, assessment.suggested)
    FROM governance_tiertemplateversion WHERE id = assessment.template_version_id
$$;

-- Who judges a tier neither drafted it nor answers for the system nor made something in it.
CREATE FUNCTION governance_tier_judge(judge text, assessment governance_tierassessment) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM governance_second_person(judge, assessment.drafted_by_id);
  IF EXISTS (SELECT FROM governance_aisystem WHERE id = assessment.system_id AND owner_id = judge)
     OR EXISTS (SELECT FROM governance_modelversion v JOIN governance_model m ON m.id = v.model_id
                 WHERE m.system_id = assessment.system_id AND judge IN (v.author_id, v.registered_by_id))
     OR EXISTS (SELECT FROM governance_modeldescription d JOIN governance_model m ON m.id = d.model_id
                 WHERE m.system_id = assessment.system_id AND judge IN (d.owner_id, d.developer_id)) THEN
    RAISE EXCEPTION 'refused: % owns the system or made something in it', judge USING ERRCODE = 'restrict_violation';
  END IF;
END $$;
"""

ASSESSMENTS = """
DECLARE
  version governance_tiertemplateversion;
  said jsonb := convert_from(NEW.working, 'UTF8')::jsonb;
BEGIN
  SELECT * INTO version FROM governance_tiertemplateversion WHERE id = NEW.template_version_id;
  IF NEW.suggested <> '' AND (NEW.suggested <> ALL (version.tiers) OR NEW.final <> ALL (version.tiers)) THEN
    RAISE EXCEPTION 'tier assessment refused: % knows no such tier', version.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF (said ->> 'template_digest', said ->> 'fields_digest', coalesce(said ->> 'suggested', ''))
     IS DISTINCT FROM (version.digest, NEW.snapshot_digest, NEW.suggested)
     OR convert_from(NEW.snapshot, 'UTF8')::jsonb ->> 'system' IS DISTINCT FROM NEW.system_id THEN
    RAISE EXCEPTION 'tier assessment refused: it is not what its working and its fields say'
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

CONFIRMATIONS = """
DECLARE
  assessment governance_tierassessment;
BEGIN
  SELECT * INTO assessment FROM governance_tierassessment WHERE id = NEW.assessment_id;
  PERFORM governance_tier_assessment_open(assessment.id);
  PERFORM governance_tier_judge(NEW.confirmed_by_id, assessment);
  IF governance_tier_lowered(assessment) IS NOT TRUE THEN
    RAISE EXCEPTION 'refused: % is not lower than suggested', assessment.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

PUBLICATIONS = """
DECLARE
  assessment governance_tierassessment;
  last governance_tierpublication;
BEGIN
  SELECT * INTO assessment FROM governance_tierassessment WHERE id = NEW.assessment_id;
  PERFORM pg_advisory_xact_lock(hashtextextended('governance.tier ' || assessment.system_id, 0));
  PERFORM governance_tier_assessment_open(assessment.id);
  PERFORM governance_tier_judge(NEW.published_by_id, assessment);
  IF assessment.suggested = '' THEN
    RAISE EXCEPTION 'refused: % is incomplete', assessment.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF governance_tier_lowered(assessment) AND NOT EXISTS (
       SELECT FROM governance_tierconfirmation
        WHERE assessment_id = assessment.id AND confirmed_by_id <> NEW.published_by_id) THEN
    RAISE EXCEPTION 'refused: % is lower than suggested, and no other officer confirmed that', assessment.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF EXISTS (SELECT FROM governance_tiertemplateversion a JOIN governance_tiertemplateversion b USING (template_id)
              WHERE a.id = assessment.template_version_id AND b.number > a.number) THEN
    RAISE EXCEPTION 'refused: the template of % has a newer version', assessment.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  SELECT * INTO last FROM governance_tierpublication WHERE system_id = assessment.system_id ORDER BY number DESC LIMIT 1;
  IF NEW.system_id <> assessment.system_id OR NEW.number <> coalesce(last.number, 0) + 1
     OR NEW.published_at < last.published_at THEN
    RAISE EXCEPTION 'refused: publication % does not follow the one before of system %', NEW.id, assessment.system_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

WITHDRAWALS = """
BEGIN
  PERFORM governance_tier_assessment_open(NEW.assessment_id);
  RETURN NEW;
END
"""

GUARDS = (
    insert_only(*TABLES)
    + TEMPLATES
    + checked("governance_tiertemplateversion", "governance_tier_template_version_guard", VERSIONS)
    + checked("governance_tiertemplatewithdrawal", "governance_tier_template_withdrawal_guard", TEMPLATE_WITHDRAWALS)
    + ASSESSMENTS_TRUE
    + checked("governance_tierassessment", "governance_tier_assessment_guard", ASSESSMENTS)
    + checked("governance_tierconfirmation", "governance_tier_confirmation_guard", CONFIRMATIONS)
    + checked("governance_tierpublication", "governance_tier_publication_guard", PUBLICATIONS)
    + checked("governance_tierwithdrawal", "governance_tier_withdrawal_guard", WITHDRAWALS)
)
UNDO = "".join(
    f"DROP FUNCTION IF EXISTS {name} CASCADE;\n"
    for name in (
        "governance_tier_withdrawal_guard()",
        "governance_tier_publication_guard()",
        "governance_tier_confirmation_guard()",
        "governance_tier_assessment_guard()",
        "governance_tier_judge(text, governance_tierassessment)",
        "governance_tier_lowered(governance_tierassessment)",
        "governance_tier_assessment_open(text)",
        "governance_tier_template_withdrawal_guard()",
        "governance_tier_template_version_guard()",
        "governance_tier_draft_open(text)",
        "governance_second_person(text, text)",
    )
)


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0019_environments"),
    ]

    operations = [
        migrations.CreateModel(
            name="TierTemplate",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ttp",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="TierAssessment",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("tas",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "snapshot",
                    models.BinaryField(help_text="The fields that the template reads: canonical JSON, as hashed."),
                ),
                ("snapshot_digest", models.CharField(max_length=71)),
                (
                    "working",
                    models.BinaryField(help_text="How the suggested tier came about: canonical JSON, as hashed."),
                ),
                ("working_digest", models.CharField(max_length=71)),
                ("suggested", models.SlugField(blank=True, help_text="Empty where it is incomplete.", max_length=40)),
                ("final", models.SlugField(blank=True, max_length=40)),
                (
                    "reason",
                    models.TextField(blank=True, help_text="Why the final tier is another one than what is suggested."),
                ),
                ("drafted_at", models.DateTimeField()),
                (
                    "drafted_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tier_assessments",
                        to="governance.aisystem",
                    ),
                ),
            ],
            options={
                "ordering": ("-drafted_at",),
            },
        ),
        migrations.CreateModel(
            name="TierConfirmation",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("tcf",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("reason", models.TextField()),
                ("confirmed_at", models.DateTimeField()),
                (
                    "assessment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="confirmation",
                        to="governance.tierassessment",
                    ),
                ),
                (
                    "confirmed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TierTemplateDraft",
            fields=[
                ("document", models.TextField()),
                ("digest", models.CharField(max_length=71)),
                ("drafted_at", models.DateTimeField()),
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ttd",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("slug", models.SlugField(help_text="The template that it would be a version of.", max_length=80)),
                (
                    "drafted_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-drafted_at",),
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TierTemplateVersion",
            fields=[
                ("number", models.PositiveIntegerField()),
                ("document", models.TextField()),
                ("digest", models.CharField(max_length=71)),
                ("published_at", models.DateTimeField()),
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ttv",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "tiers",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.SlugField(max_length=40),
                        help_text="From the lowest to the highest.",
                        size=None,
                    ),
                ),
                (
                    "draft",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="version",
                        to="governance.tiertemplatedraft",
                    ),
                ),
                (
                    "published_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="governance.tiertemplate",
                    ),
                ),
            ],
            options={
                "ordering": ("-published_at",),
                "abstract": False,
            },
        ),
        migrations.AddField(
            model_name="tierassessment",
            name="template_version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assessments",
                to="governance.tiertemplateversion",
            ),
        ),
        migrations.CreateModel(
            name="TierTemplateWithdrawal",
            fields=[
                ("reason", models.TextField()),
                ("withdrawn_at", models.DateTimeField()),
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("ttw",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "draft",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="withdrawal",
                        to="governance.tiertemplatedraft",
                    ),
                ),
                (
                    "withdrawn_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TierWithdrawal",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("twd",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("reason", models.TextField()),
                ("withdrawn_at", models.DateTimeField()),
                (
                    "assessment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="withdrawal",
                        to="governance.tierassessment",
                    ),
                ),
                (
                    "withdrawn_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TierPublication",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("tpb",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "number",
                    models.PositiveIntegerField(
                        help_text="Counted for each system; the highest is the one that stands."
                    ),
                ),
                ("published_at", models.DateTimeField()),
                (
                    "assessment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="publication",
                        to="governance.tierassessment",
                    ),
                ),
                (
                    "published_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tier_publications",
                        to="governance.aisystem",
                    ),
                ),
            ],
            options={
                "ordering": ("-published_at",),
                "constraints": [
                    models.UniqueConstraint(fields=("system", "number"), name="tier_publication_number_once")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="tiertemplatedraft",
            index=models.Index(fields=["slug", "-drafted_at"], name="tier_template_draft_newest"),
        ),
        migrations.AddConstraint(
            model_name="tiertemplateversion",
            constraint=models.UniqueConstraint(fields=("template", "number"), name="tier_template_number_once"),
        ),
        migrations.AddConstraint(
            model_name="tierassessment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("final", ""), ("suggested", "")),
                    models.Q(("suggested", ""), ("final", ""), _connector="OR", _negated=True),
                    _connector="OR",
                ),
                name="tier_assessment_incomplete_has_no_tier",
            ),
        ),
        migrations.RunSQL(GUARDS, UNDO),
    ]
