"""Issued documents are never changed."""

from django.db import migrations

GUARD = """
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON reports_document
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON reports_document
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE UPDATE, DELETE ON reports_document FROM mn_app;
"""


class Migration(migrations.Migration):
    dependencies = [("reports", "0001_initial"), ("governance", "0002_guards")]
    operations = [
        migrations.RunSQL(
            GUARD, "DROP TRIGGER insert_only ON reports_document; DROP TRIGGER not_truncated ON reports_document;"
        )
    ]
