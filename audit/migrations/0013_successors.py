"""A frozen log's successor: sealing what a restored backup left of a log, and opening the log that goes on after it.

What was left is proven by its own checkpoints up to `proven`. Whatever the database holds beyond that, it repeats in the
successor, so that every event is again in a signed tree, once. docs/adr/0017 says why.
"""

from django.db import migrations, models

LOGS = """
SET LOCAL ROLE mn_owner;

-- Of a sealed log: how many of its entries its own signed checkpoints prove.
ALTER TABLE ledger.log ADD COLUMN proven bigint CHECK (proven >= 0);

CREATE OR REPLACE FUNCTION ledger.log_only_advances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_states text[] := ARRAY['active', 'frozen', 'sealed'];
BEGIN
  IF (NEW.log_id, NEW.name, NEW.class, NEW.origin, NEW.predecessor, NEW.created_at)
       IS DISTINCT FROM (OLD.log_id, OLD.name, OLD.class, OLD.origin, OLD.predecessor, OLD.created_at)
     OR array_position(v_states, NEW.state) < array_position(v_states, OLD.state)
     OR (NEW.state = OLD.state AND NEW.state_reason IS DISTINCT FROM OLD.state_reason)
     OR (NEW.state = OLD.state AND NEW.proven IS DISTINCT FROM OLD.proven)
     OR (NEW.state = 'sealed') <> (NEW.proven IS NOT NULL)
     OR NEW.min_index < OLD.min_index THEN
    RAISE EXCEPTION 'change of log % refused: a log only advances', OLD.origin USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- Seals a frozen log and opens its successor, with p_entry as entry 0. Nobody has the right to but the owner, whom only
-- the migrator may become: audit.succession calls it, with every writer locked out.
CREATE FUNCTION ledger.log_open(p_origin text, p_proven bigint, p_name text, p_successor text, p_entry bytea)
RETURNS smallint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_old  record;
  v_new  smallint;
BEGIN
  SELECT log_id, class INTO v_old FROM ledger.log WHERE origin = p_origin AND state = 'frozen';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no frozen log %', p_origin USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF EXISTS (SELECT FROM ledger.queue WHERE log_id = v_old.log_id) THEN
    RAISE EXCEPTION 'events of % still wait for their place', p_origin
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  UPDATE ledger.log SET state = 'sealed', proven = p_proven WHERE log_id = v_old.log_id;
  INSERT INTO ledger.log (log_id, name, class, origin, predecessor)
  SELECT max(log_id) + 1, p_name, v_old.class, p_successor, v_old.log_id FROM ledger.log
  RETURNING log_id INTO v_new;
  INSERT INTO ledger.head (log_id, size, root, chain, frontier)
  VALUES (v_new, 0, sha256(''), decode(repeat('00', 32), 'hex'), '{}');
  INSERT INTO ledger.projected (log_id) VALUES (v_new);
  PERFORM ledger.partitions_ahead();
  PERFORM ledger.append(v_old.class, p_entry);
  WITH repeated AS (
    INSERT INTO ledger.body (log_id, event_id, bytes)
    SELECT v_new, b.event_id, b.bytes
      FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
     WHERE e.log_id = v_old.log_id AND e.seq >= p_proven ORDER BY e.seq
    RETURNING id)
  INSERT INTO ledger.queue (log_id, id) SELECT v_new, id FROM repeated;
  RETURN v_new;
END $$;
REVOKE ALL ON FUNCTION ledger.log_open(text, bigint, text, text, bytea) FROM PUBLIC;
"""

# What a sealed log holds beyond what its checkpoints prove is shown where it is repeated, and not twice.
VIEWS = """
CREATE OR REPLACE VIEW ledger.entry_view AS
  SELECT p.body_id, l.name AS log, p.seq, p.event_id, p.event_type, p.at, p.actor_id, p.actor_name,
         p.subject_kind, p.subject_id, p.subject_digest,
         (SELECT b.bytes FROM ledger.body b WHERE b.log_id = p.log_id AND b.id = p.body_id) AS bytes,
         (SELECT e.leaf FROM ledger.entry e WHERE e.log_id = p.log_id AND e.seq = p.seq) AS leaf, l.origin,
         l.class AS log_class
    FROM ledger.projection p JOIN ledger.log l USING (log_id)
   WHERE l.proven IS NULL OR p.seq < l.proven
  UNION ALL
  SELECT w.body_id, l.name, w.seq, r.event_id, r.event_type, r.at, r.actor_id, r.actor_name,
         r.subject_kind, r.subject_id, r.subject_digest, b.bytes, w.leaf, l.origin, l.class
    FROM (SELECT q.log_id, q.id AS body_id, NULL::bigint AS seq, NULL::bytea AS leaf FROM ledger.queue q
          UNION ALL
          SELECT e.log_id, e.body_id, e.seq, e.leaf
            FROM ledger.projected d JOIN ledger.log g USING (log_id)
            JOIN ledger.entry e ON e.log_id = d.log_id AND e.seq >= greatest(d.size, g.min_index)) w
    JOIN ledger.log l USING (log_id)
    JOIN ledger.body b ON b.log_id = w.log_id AND b.id = w.body_id
   CROSS JOIN LATERAL ledger.event_read(b.bytes) r
   WHERE l.proven IS NULL OR w.seq < l.proven;

CREATE OR REPLACE VIEW ledger.checkpoint_view AS
  SELECT l.name || '/' || c.size AS id, l.name AS log, l.origin, c.size, c.root, c.note, c.at, l.class AS log_class
    FROM ledger.checkpoint c JOIN ledger.log l USING (log_id)
   WHERE l.proven IS NULL OR c.size <= l.proven;

CREATE VIEW ledger.log_view AS
  SELECT l.log_id AS id, l.name, l.class AS log_class, l.origin, p.name AS predecessor, l.state, l.state_reason,
         l.min_index, l.proven, l.created_at
    FROM ledger.log l LEFT JOIN ledger.log p ON p.log_id = l.predecessor;
GRANT SELECT ON ledger.log_view TO mn_auditor, mn_sequencer;

RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0012_retention")]
    operations = [
        migrations.RunSQL(LOGS + VIEWS),
        migrations.AddField("entry", "log_class", models.TextField(default=""), preserve_default=False),
        migrations.AddField("checkpoint", "log_class", models.TextField(default=""), preserve_default=False),
        migrations.CreateModel(
            name="LogRecord",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("log_class", models.TextField()),
                ("origin", models.TextField()),
                ("predecessor", models.TextField(null=True)),
                ("state", models.TextField()),
                ("state_reason", models.TextField(null=True)),
                ("min_index", models.BigIntegerField()),
                ("proven", models.BigIntegerField(null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={"db_table": '"ledger"."log_view"', "ordering": ("id",), "managed": False},
        ),
    ]
