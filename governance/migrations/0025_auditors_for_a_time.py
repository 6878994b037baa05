"""An auditor's role has an end, a year ahead at most: it is an engagement."""

from django.db import migrations

from governance.migrations._guards import checked

ENGAGEMENT = """
BEGIN
  IF NEW.role = 'auditor' AND (NEW.valid_to IS NULL OR NEW.valid_to > NEW.valid_from + interval '365 days') THEN
    RAISE EXCEPTION 'refused: the role of an auditor ends, within 365 days' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0024_business_units"),
    ]

    operations = [
        migrations.RunSQL(
            checked("governance_rolegrant", "governance_engagement_guard", ENGAGEMENT),
            "DROP FUNCTION governance_engagement_guard() CASCADE;",
        )
    ]
