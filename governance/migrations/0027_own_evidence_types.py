"""Types of evidence that an installation makes itself."""

import functools
from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.models import PROTECT

import modelnotary.ids
from governance.migrations._guards import checked, insert_only

DRAFTS = """
BEGIN
  PERFORM governance_people_guard(NEW.drafted_by_id);
  IF NEW.name !~ '^x_[a-z][a-z0-9_]{0,37}$' OR NEW.digest <> 'sha256:' || encode(sha256(NEW.document), 'hex') THEN
    RAISE EXCEPTION 'refused: % is no definition of a type of one''s own', NEW.name
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

VERSIONS = """
DECLARE
  draft governance_evidencetypedraft;
BEGIN
  SELECT * INTO draft FROM governance_evidencetypedraft WHERE id = NEW.draft_id;
  PERFORM governance_people_guard(draft.drafted_by_id, NEW.published_by_id);
  IF (draft.name, draft.number, draft.document, draft.digest)
     IS DISTINCT FROM (NEW.name, NEW.number, NEW.document, NEW.digest) THEN
    RAISE EXCEPTION 'refused: % is not what was drafted', NEW.name USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.number <> 1 + coalesce((SELECT max(number) FROM governance_evidencetypeversion WHERE name = NEW.name), 0)
     OR EXISTS (SELECT FROM governance_evidencetyperetirement WHERE name = NEW.name) THEN
    RAISE EXCEPTION 'refused: % does not follow, or was retired', NEW.name USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

RETIREMENTS = """
BEGIN
  PERFORM governance_people_guard(NEW.retired_by_id);
  RETURN NEW;
END
"""

EVIDENCE = """
BEGIN
  IF starts_with(NEW.type, 'x_') AND (
       NOT EXISTS (SELECT FROM governance_evidencetypeversion WHERE name = NEW.type AND number = NEW.schema_version)
       OR EXISTS (SELECT FROM governance_evidencetyperetirement WHERE name = NEW.type)) THEN
    RAISE EXCEPTION 'refused: % is not published, or was retired', NEW.type USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""

DRAFT, VERSION, RETIREMENT = (
    f"governance_{name}" for name in ("evidencetypedraft", "evidencetypeversion", "evidencetyperetirement")
)
GUARDS = (
    insert_only(DRAFT, VERSION, RETIREMENT)
    + checked(DRAFT, "governance_evidence_type_draft_guard", DRAFTS)
    + checked(VERSION, "governance_evidence_type_version_guard", VERSIONS)
    + checked(RETIREMENT, "governance_evidence_type_retirement_guard", RETIREMENTS)
    + checked("governance_evidence", "governance_evidence_type_guard", EVIDENCE)
)


def key(prefix: str) -> "models.CharField[str, str]":
    default = functools.partial(modelnotary.ids.new_id, prefix)
    return models.CharField(default=default, editable=False, max_length=40, primary_key=True, serialize=False)


def person() -> "models.ForeignKey[Any, Any]":
    return models.ForeignKey(on_delete=PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)


class Migration(migrations.Migration):
    dependencies = [("governance", "0026_access_reviews")]
    operations = [
        migrations.CreateModel(
            name="EvidenceTypeDraft",
            fields=[
                ("id", key("etd")),
                ("name", models.CharField(max_length=40)),
                ("number", models.PositiveSmallIntegerField(help_text="The version that it would be.")),
                ("document", models.BinaryField(help_text="The definition, canonical JSON.")),
                ("digest", models.CharField(max_length=71)),
                ("drafted_by", person()),
                ("drafted_at", models.DateTimeField()),
            ],
            options={"ordering": ("-drafted_at",)},
        ),
        migrations.CreateModel(
            name="EvidenceTypeVersion",
            fields=[
                ("id", key("etv")),
                (
                    "draft",
                    models.OneToOneField(on_delete=PROTECT, related_name="version", to="governance.evidencetypedraft"),
                ),
                ("name", models.CharField(max_length=40)),
                ("number", models.PositiveSmallIntegerField()),
                ("document", models.BinaryField(help_text="The definition, canonical JSON, as drafted.")),
                ("digest", models.CharField(max_length=71, unique=True)),
                ("published_by", person()),
                ("published_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("name", "-number"),
                "constraints": [models.UniqueConstraint(fields=("name", "number"), name="evidence_type_number_once")],
            },
        ),
        migrations.CreateModel(
            name="EvidenceTypeRetirement",
            fields=[
                ("id", key("etr")),
                ("name", models.CharField(max_length=40, unique=True)),
                ("reason", models.TextField()),
                ("retired_by", person()),
                ("retired_at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
