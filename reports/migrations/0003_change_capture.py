"""Every change of an issued document leaves a row in ledger.change, however it was made."""

from django.db import migrations

CAPTURE = "".join(
    f"""
CREATE TRIGGER capture_{event.lower()} AFTER {event} ON reports_document
  REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION ledger.change_capture('id');
ALTER TABLE reports_document ENABLE ALWAYS TRIGGER capture_{event.lower()};
"""
    for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)
RELEASE = "".join(f"DROP TRIGGER capture_{event} ON reports_document;" for event in ("insert", "update", "delete"))


class Migration(migrations.Migration):
    dependencies = [("reports", "0002_guards"), ("audit", "0006_changes")]
    operations = [migrations.RunSQL(CAPTURE, RELEASE)]
