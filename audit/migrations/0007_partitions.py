"""Partitions, the life of a log, and a projection for searching beside the ledger instead of within it.

`body` and `entry` become partitioned by log and, within a log, by position, so that an archived stretch can be dropped.
What can be searched of an event leaves the path of the business transaction: the sequencer's process fills
`projection` from the bytes, in the order of the log. docs/adr/0015 says why.
"""

from django.db import migrations, models

LOGS = """
SET LOCAL ROLE mn_owner;

ALTER TABLE ledger.log
  ADD COLUMN class         text,
  ADD COLUMN predecessor   smallint REFERENCES ledger.log,
  ADD COLUMN state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'frozen', 'sealed')),
  ADD COLUMN state_reason  text,
  ADD COLUMN min_index     bigint NOT NULL DEFAULT 0 CHECK (min_index >= 0);
DROP TRIGGER append_only ON ledger.log;
UPDATE ledger.log SET class = name;
ALTER TABLE ledger.log ALTER COLUMN class SET NOT NULL;
CREATE UNIQUE INDEX log_active ON ledger.log (class) WHERE state = 'active';

CREATE FUNCTION ledger.log_only_advances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_states text[] := ARRAY['active', 'frozen', 'sealed'];
BEGIN
  IF (NEW.log_id, NEW.name, NEW.class, NEW.origin, NEW.predecessor, NEW.created_at)
       IS DISTINCT FROM (OLD.log_id, OLD.name, OLD.class, OLD.origin, OLD.predecessor, OLD.created_at)
     OR array_position(v_states, NEW.state) < array_position(v_states, OLD.state)
     OR (NEW.state = OLD.state AND NEW.state_reason IS DISTINCT FROM OLD.state_reason)
     OR NEW.min_index < OLD.min_index THEN
    RAISE EXCEPTION 'change of log % refused: a log only advances', OLD.origin USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER only_advances BEFORE UPDATE ON ledger.log FOR EACH ROW EXECUTE FUNCTION ledger.log_only_advances();
CREATE TRIGGER no_delete BEFORE DELETE ON ledger.log FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.log ENABLE ALWAYS TRIGGER only_advances;
ALTER TABLE ledger.log ENABLE ALWAYS TRIGGER no_delete;

-- Stops a log whose database and signatures no longer agree: nothing is appended and nothing gets a place any more.
-- True when this call froze it, false when it no longer was active.
CREATE FUNCTION ledger.log_freeze(p_origin text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE ledger.log SET state = 'frozen', state_reason = p_reason WHERE origin = p_origin AND state = 'active';
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION ledger.log_freeze(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.log_freeze(text, text) TO mn_sequencer;
"""

TABLES = """
DROP VIEW ledger.entry_view;
DROP FUNCTION ledger.append(text, bytea);
ALTER TABLE ledger.body RENAME TO body_whole;
ALTER TABLE ledger.entry RENAME TO entry_whole;
ALTER TABLE ledger.queue DROP CONSTRAINT queue_pkey, ADD PRIMARY KEY (log_id, id);
DROP INDEX ledger.queue_log;

-- One sequence for all logs: what was committed before something began has the smaller one.
CREATE SEQUENCE ledger.body_id AS bigint CACHE 1;

-- Written once inside the business transaction, hashed as stored. No key leads from here to another table: looking it
-- up would lock the one row of the log in every transaction.
CREATE TABLE ledger.body (
  id        bigint NOT NULL DEFAULT nextval('ledger.body_id'),
  log_id    smallint NOT NULL,
  event_id  text NOT NULL,
  bytes     bytea NOT NULL CHECK (octet_length(bytes) BETWEEN 2 AND 65535),
  xid       xid8 NOT NULL DEFAULT pg_current_xact_id()
) PARTITION BY LIST (log_id);

CREATE TABLE ledger.entry (
  log_id   smallint NOT NULL,
  seq      bigint NOT NULL CHECK (seq >= 0),
  body_id  bigint NOT NULL,
  leaf     bytea NOT NULL CHECK (octet_length(leaf) = 32),
  chain    bytea NOT NULL CHECK (octet_length(chain) = 32)
) PARTITION BY LIST (log_id);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['body', 'entry'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I
                    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', t);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', t);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER no_truncate', t);
  END LOOP;
END $$;
GRANT SELECT ON ledger.body, ledger.entry TO mn_auditor, mn_sequencer, mn_signer;
GRANT SELECT ON SEQUENCE ledger.body_id TO mn_auditor, mn_sequencer;
GRANT INSERT ON ledger.entry TO mn_sequencer;
"""

# 1,048,576 rows are some 700 MB of bodies: a year of a busy gate, and little enough to archive in one go.
PARTITIONS = """
-- Puts a new table under a partitioned one, with the guards that the tree above does not hand down: a TRUNCATE of the
-- partition itself asks only the partition's own triggers. Attaching does not lock writers out, PARTITION OF would.
CREATE FUNCTION ledger.partition_attach(p_parent text, p_name text, p_shape text, p_bounds text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) %s',
                 p_name, p_parent, p_shape);
  EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I
                  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', p_name);
  EXECUTE format('ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES %s', p_parent, p_name, p_bounds);
  EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', p_name);
  EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER no_truncate', p_name);
END $$;
REVOKE ALL ON FUNCTION ledger.partition_attach(text, text, text, text) FROM PUBLIC;

-- Where the last partition of a log ends; null when it has none.
CREATE FUNCTION ledger.partitions_end(p_table text, p_log_id smallint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''(\\d+)''\\)'))[1]::bigint)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = to_regclass(format('ledger.%I', p_table || '_' || p_log_id))
$$;

-- Makes the partitions that active logs will soon need: for two widths of rows beyond the present one. Returns how
-- many it made.
CREATE FUNCTION ledger.partitions_ahead(p_width bigint DEFAULT 1048576) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_row   record;
  v_from  bigint;
  v_made  integer := 0;
BEGIN
  IF p_width < 1 THEN
    RAISE EXCEPTION 'a partition holds at least one row, not %', p_width USING ERRCODE = '22023';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('ledger.partitions_ahead'));
  FOR v_row IN
    SELECT log_id, 'body' AS name, 'id' AS key, 'PRIMARY KEY (id), ADD UNIQUE (event_id)' AS indexes,
           (SELECT last_value FROM ledger.body_id) AS used, true AS is_shared
      FROM ledger.log WHERE state = 'active'
    UNION ALL
    SELECT log_id, 'entry', 'seq', 'PRIMARY KEY (seq)', size, false
      FROM ledger.head JOIN ledger.log USING (log_id) WHERE state = 'active'
    ORDER BY log_id, name
  LOOP
    IF to_regclass(format('ledger.%I', v_row.name || '_' || v_row.log_id)) IS NULL THEN
      PERFORM ledger.partition_attach(v_row.name, v_row.name || '_' || v_row.log_id,
                                      format('PARTITION BY RANGE (%I)', v_row.key),
                                      format('IN (%s)', v_row.log_id));
    END IF;
    v_from := ledger.partitions_end(v_row.name, v_row.log_id);
    IF v_from IS NULL THEN
      -- A log that begins now has no body with a smaller number than the next one.
      v_from := CASE WHEN v_row.is_shared THEN v_row.used - v_row.used % p_width ELSE 0 END;
    END IF;
    WHILE v_from <= v_row.used + 2 * p_width LOOP
      PERFORM ledger.partition_attach(v_row.name || '_' || v_row.log_id,
                                      v_row.name || '_' || v_row.log_id || '_' || v_from, '',
                                      format('FROM (%s) TO (%s)', v_from, v_from + p_width));
      EXECUTE format('ALTER TABLE ledger.%I ADD %s', v_row.name || '_' || v_row.log_id || '_' || v_from,
                     v_row.indexes);
      v_from := v_from + p_width;
      v_made := v_made + 1;
    END LOOP;
  END LOOP;
  RETURN v_made;
END $$;
REVOKE ALL ON FUNCTION ledger.partitions_ahead(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.partitions_ahead(bigint) TO mn_sequencer;
"""

MOVE = """
SELECT ledger.partitions_ahead();
SELECT setval('ledger.body_id', max(id)) FROM ledger.body_whole HAVING max(id) IS NOT NULL;
SELECT ledger.partitions_ahead();
INSERT INTO ledger.body (id, log_id, event_id, bytes, xid)
  SELECT id, log_id, event_id, bytes, xid FROM ledger.body_whole ORDER BY id;
INSERT INTO ledger.entry (log_id, seq, body_id, leaf, chain)
  SELECT log_id, seq, body_id, leaf, chain FROM ledger.entry_whole ORDER BY log_id, seq;
DROP TABLE ledger.entry_whole, ledger.body_whole;
"""

APPEND = """
-- The one way in. Owned by mn_owner, so the caller needs no right on any table. The class of log comes twice, in the
-- call and in the event, and must be the same.
CREATE FUNCTION ledger.append(p_log text, p_bytes bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log smallint;
  v_id  bigint;
  v_doc jsonb := convert_from(p_bytes, 'UTF8')::jsonb;
BEGIN
  SELECT log_id INTO v_log FROM ledger.log WHERE class = p_log AND state = 'active';
  IF v_log IS NULL OR v_doc->>'log' IS DISTINCT FROM p_log THEN
    PERFORM ledger.append_refuse(p_log, v_doc->>'log');
  END IF;
  -- An index holds no more than this; the event would stop the projection, and with it the log.
  IF greatest(octet_length(v_doc->>'type'), octet_length(v_doc#>>'{subject,id}'),
              octet_length(v_doc#>>'{subject,digest}')) > 1000 THEN
    RAISE EXCEPTION 'type, subject id and subject digest of an event may take 1000 bytes each' USING ERRCODE = '22001';
  END IF;
  INSERT INTO ledger.body (log_id, event_id, bytes) VALUES (v_log, v_doc->>'id', p_bytes) RETURNING id INTO v_id;
  INSERT INTO ledger.queue (log_id, id) VALUES (v_log, v_id);
  RETURN v_id;
END $$;
REVOKE ALL ON FUNCTION ledger.append(text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.append(text, bytea) TO mn_app;

CREATE FUNCTION ledger.append_refuse(p_log text, p_named text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_last record;
BEGIN
  SELECT name, state, state_reason INTO v_last FROM ledger.log WHERE class = p_log ORDER BY log_id DESC LIMIT 1;
  IF p_named IS DISTINCT FROM p_log OR NOT FOUND THEN
    RAISE EXCEPTION 'the event names log "%", the call names log "%"', p_named, p_log USING ERRCODE = '22023';
  END IF;
  RAISE EXCEPTION 'log % is %: %', v_last.name, v_last.state, v_last.state_reason USING ERRCODE = 'MN001';
END $$;
REVOKE ALL ON FUNCTION ledger.append_refuse(text, text) FROM PUBLIC;
"""

PROJECTION = """
-- What can be searched of an event, read out of its bytes; all null for bytes that are no event.
CREATE FUNCTION ledger.event_read(
  p_bytes bytea, OUT log text, OUT event_id text, OUT event_type text, OUT at timestamptz, OUT actor_id text,
  OUT actor_name text, OUT subject_kind text, OUT subject_id text, OUT subject_digest text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_doc jsonb;
BEGIN
  v_doc := convert_from(p_bytes, 'UTF8')::jsonb;
  at := (v_doc->>'at')::timestamptz;
  log := v_doc->>'log';
  event_id := v_doc->>'id';
  event_type := v_doc->>'type';
  actor_id := v_doc#>>'{actor,id}';
  actor_name := v_doc#>>'{actor,name}';
  subject_kind := v_doc#>>'{subject,kind}';
  subject_id := v_doc#>>'{subject,id}';
  subject_digest := v_doc#>>'{subject,digest}';
EXCEPTION WHEN others THEN
  NULL;  -- nothing was assigned yet: only the first two lines can fail
END $$;

-- Derived: filled in the order of the log up to `projected.size`, and made again from nothing at any time. Nobody
-- proves anything with it.
CREATE TABLE ledger.projection (
  log_id          smallint NOT NULL,
  seq             bigint NOT NULL,
  body_id         bigint NOT NULL,
  event_id        text,
  event_type      text,
  at              timestamptz,
  actor_id        text,
  actor_name      text,
  subject_kind    text,
  subject_id      text,
  subject_digest  text,
  PRIMARY KEY (log_id, seq)
);
CREATE INDEX projection_body ON ledger.projection (body_id);
CREATE INDEX projection_event ON ledger.projection (event_id);
CREATE INDEX projection_subject ON ledger.projection (subject_id, body_id);
CREATE INDEX projection_type ON ledger.projection (event_type, body_id);
CREATE INDEX projection_digest ON ledger.projection (subject_digest text_pattern_ops) WHERE subject_digest IS NOT NULL;

CREATE TABLE ledger.projected (
  log_id  smallint PRIMARY KEY REFERENCES ledger.log,
  size    bigint NOT NULL DEFAULT 0
);
INSERT INTO ledger.projected (log_id) SELECT log_id FROM ledger.log;

-- An event is found at once: what is not projected yet, a second's worth, is read from its bytes.
CREATE VIEW ledger.entry_view AS
  SELECT p.body_id, l.name AS log, p.seq, p.event_id, p.event_type, p.at, p.actor_id, p.actor_name,
         p.subject_kind, p.subject_id, p.subject_digest,
         (SELECT b.bytes FROM ledger.body b WHERE b.log_id = p.log_id AND b.id = p.body_id) AS bytes,
         (SELECT e.leaf FROM ledger.entry e WHERE e.log_id = p.log_id AND e.seq = p.seq) AS leaf, l.origin
    FROM ledger.projection p JOIN ledger.log l USING (log_id)
  UNION ALL
  SELECT w.body_id, l.name, w.seq, r.event_id, r.event_type, r.at, r.actor_id, r.actor_name,
         r.subject_kind, r.subject_id, r.subject_digest, b.bytes, w.leaf, l.origin
    FROM (SELECT q.log_id, q.id AS body_id, NULL::bigint AS seq, NULL::bytea AS leaf FROM ledger.queue q
          UNION ALL
          SELECT e.log_id, e.body_id, e.seq, e.leaf
            FROM ledger.projected d JOIN ledger.entry e ON e.log_id = d.log_id AND e.seq >= d.size) w
    JOIN ledger.log l USING (log_id)
    JOIN ledger.body b ON b.log_id = w.log_id AND b.id = w.body_id
   CROSS JOIN LATERAL ledger.event_read(b.bytes) r;

GRANT SELECT ON ledger.projection, ledger.projected, ledger.entry_view TO mn_auditor, mn_sequencer;
GRANT INSERT, DELETE ON ledger.projection TO mn_sequencer;
GRANT UPDATE ON ledger.projected TO mn_sequencer;

RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_changes")]
    operations = [
        migrations.RunSQL(LOGS + TABLES + PARTITIONS + MOVE + APPEND + PROJECTION),
        migrations.AddField("entry", "origin", models.TextField(default=""), preserve_default=False),
    ]
