"""What was published where: a row for each checkpoint that something outside the database holds.

The row itself proves nothing, for whoever owns the database can write it; the receipt and what lies outside do.
"""

from django.db import migrations, models

TABLE = """
SET LOCAL ROLE mn_owner;

CREATE TABLE ledger.anchor (
  log_id    smallint NOT NULL,
  kind      text NOT NULL CHECK (kind ~ '^[a-z-]{1,20}$'),
  location  text NOT NULL CHECK (char_length(location) BETWEEN 1 AND 2000),
  size      bigint NOT NULL,
  receipt   bytea NOT NULL CHECK (octet_length(receipt) <= 1048576),
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (log_id, kind, location, size),
  FOREIGN KEY (log_id, size) REFERENCES ledger.checkpoint (log_id, size)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.anchor
  FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.anchor
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.anchor ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.anchor ENABLE ALWAYS TRIGGER no_truncate;

-- The one way in. The same size at the same place is recorded once, with its first receipt.
CREATE FUNCTION ledger.anchor_record(p_log text, p_size bigint, p_kind text, p_location text, p_receipt bytea)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log smallint;
BEGIN
  SELECT log_id INTO v_log FROM ledger.log WHERE name = p_log;
  INSERT INTO ledger.anchor (log_id, kind, location, size, receipt)
  VALUES (v_log, p_kind, p_location, p_size, p_receipt) ON CONFLICT DO NOTHING;
END $$;
REVOKE ALL ON FUNCTION ledger.anchor_record(text, bigint, text, text, bytea) FROM PUBLIC;

CREATE VIEW ledger.anchor_view AS
  SELECT l.name || '/' || a.size || ' ' || a.kind || ' ' || a.location AS id,
         l.name AS log, a.size, a.kind, a.location, a.receipt, a.at
    FROM ledger.anchor a JOIN ledger.log l USING (log_id);

GRANT EXECUTE ON FUNCTION ledger.anchor_record(text, bigint, text, text, bytea) TO mn_app;
GRANT SELECT ON ledger.anchor, ledger.anchor_view TO mn_auditor, mn_sequencer;

RESET ROLE;
"""

UNDO = """
SET LOCAL ROLE mn_owner;
DROP FUNCTION ledger.anchor_record(text, bigint, text, text, bytea);
DROP VIEW ledger.anchor_view;
DROP TABLE ledger.anchor;
RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_digest_index")]
    operations = [
        migrations.RunSQL(TABLE, UNDO),
        migrations.CreateModel(
            name="AnchorRecord",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("log", models.TextField()),
                ("size", models.BigIntegerField()),
                ("kind", models.TextField()),
                ("location", models.TextField()),
                ("receipt", models.BinaryField()),
                ("at", models.DateTimeField()),
            ],
            options={"db_table": '"ledger"."anchor_view"', "ordering": ("-at",), "managed": False},
        ),
    ]
