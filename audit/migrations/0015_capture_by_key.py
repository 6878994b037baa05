"""Capture a change by the column that nearly all governed tables are identified by, without making JSON of the row.

docs/adr/0031 says what that costs.
"""

from django.db import migrations

CAPTURE = """
SET LOCAL ROLE mn_owner;

-- Its argument is the column that identifies a row. A statement's rows come in the transition table `changed`. A column
-- that is named here is read at a third of the cost of looking it up in the row as JSON.
CREATE OR REPLACE FUNCTION ledger.change_capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_LEVEL = 'ROW' THEN
    INSERT INTO ledger.change (source, op, pk) VALUES (TG_TABLE_NAME, TG_OP, to_jsonb(NEW) ->> TG_ARGV[0]);
  ELSIF TG_ARGV[0] = 'id' THEN
    INSERT INTO ledger.change (source, op, pk) SELECT TG_TABLE_NAME, TG_OP, c.id::text FROM changed c;
  ELSE
    INSERT INTO ledger.change (source, op, pk) SELECT TG_TABLE_NAME, TG_OP, to_jsonb(c) ->> TG_ARGV[0] FROM changed c;
  END IF;
  RETURN NULL;
END $$;

RESET ROLE;
"""


class Migration(migrations.Migration):
    """Replace the function that the triggers of governed tables call; the triggers stay as they are."""

    dependencies = [("audit", "0014_append_in_one_statement")]
    operations = [migrations.RunSQL(CAPTURE)]
