"""Finding entries by the digest of what they are about, or by its beginning."""

from django.db import migrations

INDEX = """
SET LOCAL ROLE mn_owner;
CREATE INDEX body_digest ON ledger.body (subject_digest text_pattern_ops) WHERE subject_digest IS NOT NULL;
RESET ROLE;
"""

UNDO = "DROP INDEX ledger.body_digest;"


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_sealed_values")]
    operations = [migrations.RunSQL(INDEX, UNDO)]
