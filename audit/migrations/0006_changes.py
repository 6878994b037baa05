"""The net under the services: a row for every change of a governed record, however it was made.

Triggers on those tables call ledger.change_capture, so that bulk statements, QuerySet.update and raw SQL are seen too.
A transaction with such rows and without a lineage event is what manage.py ledger_reconcile looks for.
"""

from django.db import migrations

TABLE = """
SET LOCAL ROLE mn_owner;

CREATE TABLE ledger.change (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source  text NOT NULL,
  op      text NOT NULL,
  pk      text,
  xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.change
  FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.change
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.change ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.change ENABLE ALWAYS TRIGGER no_truncate;

-- Its argument is the column that identifies a row. A statement's rows come in the transition table `changed`.
CREATE FUNCTION ledger.change_capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_LEVEL = 'ROW' THEN
    INSERT INTO ledger.change (source, op, pk) VALUES (TG_TABLE_NAME, TG_OP, to_jsonb(NEW) ->> TG_ARGV[0]);
  ELSE
    INSERT INTO ledger.change (source, op, pk) SELECT TG_TABLE_NAME, TG_OP, to_jsonb(c) ->> TG_ARGV[0] FROM changed c;
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ledger.change_capture() FROM PUBLIC;
GRANT SELECT ON ledger.change TO mn_auditor, mn_sequencer;

RESET ROLE;
"""

UNDO = """
SET LOCAL ROLE mn_owner;
DROP FUNCTION ledger.change_capture() CASCADE;
DROP TABLE ledger.change;
RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_anchors")]
    operations = [migrations.RunSQL(TABLE, UNDO)]
