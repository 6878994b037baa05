"""Retention: how long entries are kept, and how an archived stretch at the start of a log is given up.

Nothing is given up unless two officers scheduled how long entries of that class are kept, all of them are older, no
legal hold stands, and entries that a signed checkpoint covers tell of the archive and of the pruning. The database
checks this itself, whoever asks; and only `mn_archiver` may ask. docs/adr/0019 says why.
"""

from django.db import migrations

ROLE = """
DO $$
BEGIN
  BEGIN
    CREATE ROLE mn_archiver LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this cluster made it
  END;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO mn_archiver', current_database());
END $$;

-- For the functions below, which run as the ledger's owner.
GRANT USAGE ON SCHEMA public TO mn_owner;
GRANT SELECT ON public.audit_legalhold TO mn_owner;
GRANT SELECT, DELETE ON public.audit_sealedvalue TO mn_owner;
"""

TABLES = """
SET LOCAL ROLE mn_owner;
GRANT USAGE ON SCHEMA ledger TO mn_archiver;

-- How long entries of a class of logs are kept. A row is never changed; ledger.retention_objection says which counts.
CREATE TABLE ledger.retention (
  event_id   text PRIMARY KEY,
  request    text NOT NULL UNIQUE,
  class      text NOT NULL,
  keep_days  integer NOT NULL CHECK (keep_days > 0),
  at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was given up at the start of a log, where its archive is, and the proof of the entry that tells of it: it holds
-- when that entry has been given up itself.
CREATE TABLE ledger.pruning (
  event_id   text PRIMARY KEY,
  log_id     smallint NOT NULL REFERENCES ledger.log,
  start      bigint NOT NULL CHECK (start >= 0),
  min_index  bigint NOT NULL CHECK (min_index > start AND min_index % 256 = 0),
  chain      bytea NOT NULL CHECK (octet_length(chain) = 32),
  newest     timestamptz NOT NULL,
  manifest   text NOT NULL,
  location   text NOT NULL,
  proof      text NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (log_id, min_index)
);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['retention', 'pruning'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I
                    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change()', t);
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', t);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', t);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER no_truncate', t);
  END LOOP;
END $$;
GRANT SELECT ON ledger.retention, ledger.pruning TO mn_auditor, mn_sequencer;
"""

SCHEDULES = """
-- Takes a schedule over from the entry of this transaction that tells of it. Another person must have asked for it.
CREATE FUNCTION ledger.retention_schedule(p_event_id text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_doc    jsonb;
  v_asked  jsonb;
BEGIN
  SELECT convert_from(bytes, 'UTF8')::jsonb INTO v_doc FROM ledger.body
   WHERE event_id = p_event_id AND xid = pg_current_xact_id();
  SELECT convert_from(bytes, 'UTF8')::jsonb INTO v_asked FROM ledger.body WHERE event_id = v_doc#>>'{data,request}';
  IF v_doc->>'type' IS DISTINCT FROM 'retention.scheduled' OR v_asked->>'type' IS DISTINCT FROM 'retention.requested'
     OR (v_doc#>>'{subject,id}', v_doc#>'{data,keep_days}')
        IS DISTINCT FROM (v_asked#>>'{subject,id}', v_asked#>'{data,keep_days}')
     OR v_doc#>>'{actor,kind}' IS DISTINCT FROM 'person' OR v_asked#>>'{actor,kind}' IS DISTINCT FROM 'person'
     OR v_doc#>>'{actor,id}' = v_asked#>>'{actor,id}' THEN
    RAISE EXCEPTION 'no entry of this transaction is the approval, by another person, of a schedule asked for: %',
      p_event_id USING ERRCODE = 'MN010';
  END IF;
  INSERT INTO ledger.retention (event_id, request, class, keep_days)
  VALUES (p_event_id, v_doc#>>'{data,request}', v_doc#>>'{subject,id}', (v_doc#>>'{data,keep_days}')::integer);
END $$;
REVOKE ALL ON FUNCTION ledger.retention_schedule(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.retention_schedule(text) TO mn_app;

-- Why entries of a class, the newest of them of a certain time, must be kept at a moment; null when they need not. A
-- longer period counts at once. A shorter one, and the first one, count 30 days after they were approved: who destroys
-- records gives notice in the log.
CREATE FUNCTION ledger.retention_objection(p_class text, p_newest timestamptz, p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_notice  timestamptz := p_at - interval '30 days';
  v_days    integer;
  v_first   timestamptz;
BEGIN
  SELECT max(keep_days), min(at) INTO v_days, v_first
    FROM (SELECT keep_days, at, lead(at) OVER (ORDER BY at, event_id) AS replaced FROM ledger.retention
           WHERE class = p_class AND at <= p_at) s
   WHERE replaced IS NULL OR replaced > v_notice;
  IF v_days IS NULL THEN
    RETURN format('no schedule says how long entries of the class %s are kept', p_class);
  END IF;
  IF v_first > v_notice THEN
    RETURN format('the first schedule of the class %s is of %s, and counts 30 days later', p_class,
                  to_char(v_first AT TIME ZONE 'UTC', 'YYYY-MM-DD'));
  END IF;
  IF p_newest IS NULL OR p_newest + make_interval(days => v_days) > p_at THEN
    RETURN format('the newest of these entries is of %s, and entries of the class %s are kept for %s days',
                  coalesce(to_char(p_newest AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'an unknown time'), p_class, v_days);
  END IF;
  RETURN NULL;
END $$;

-- The legal hold that forbids to give up entries of a class. One on a person does, for nobody can tell which are theirs.
CREATE FUNCTION ledger.retention_hold(p_class text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('the legal hold %s (matter %s) forbids it', id, matter) FROM public.audit_legalhold
   WHERE released_at IS NULL AND (scope = 'person' OR log = p_class) ORDER BY set_at LIMIT 1
$$;
REVOKE ALL ON FUNCTION ledger.retention_hold(text) FROM PUBLIC;
"""

PRUNING = """
-- An event, if it has its place and a signed checkpoint covers it. The projection only says where to look.
CREATE FUNCTION ledger.event_signed(p_event_id text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT convert_from(b.bytes, 'UTF8')::jsonb
    FROM ledger.projection p
    JOIN ledger.entry e ON e.log_id = p.log_id AND e.seq = p.seq
    JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
   WHERE p.event_id = p_event_id AND b.event_id = p_event_id AND e.leaf = sha256('\\x00'::bytea || b.bytes)
     AND e.seq < (SELECT max(size) FROM ledger.checkpoint c WHERE c.log_id = p.log_id)
$$;
REVOKE ALL ON FUNCTION ledger.event_signed(text) FROM PUBLIC;

-- Gives up the entries of a log before the position that the signed entry p_event_id names: from now on the log begins
-- there. What can be searched of them goes, and every personal value sealed for them; the rows of the ledger go with
-- their partitions. Done again, it does nothing.
CREATE FUNCTION ledger.log_prune(p_event_id text, p_proof text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_said       jsonb := ledger.event_signed(p_event_id);
  v_data       jsonb := v_said->'data';
  v_sealed     jsonb := ledger.event_signed(v_data->>'archive');
  v_end        bigint := (v_data->>'min_index')::bigint;
  v_log        ledger.log;
  v_newest     timestamptz;
  v_objection  text;
BEGIN
  -- Whoever sets a legal hold takes turns with this.
  PERFORM pg_advisory_xact_lock(1835925506);
  SELECT * INTO v_log FROM ledger.log WHERE origin = v_data->>'origin' FOR NO KEY UPDATE;
  IF v_said->>'type' IS DISTINCT FROM 'log.pruned' OR v_log.log_id IS NULL THEN
    RAISE EXCEPTION 'no signed entry % tells of a pruning', p_event_id USING ERRCODE = 'MN010';
  END IF;
  IF EXISTS (SELECT FROM ledger.pruning WHERE event_id = p_event_id) THEN
    RETURN;
  END IF;
  IF v_sealed->>'type' IS DISTINCT FROM 'archive.sealed'
     OR (v_data->>'start')::bigint IS DISTINCT FROM v_log.min_index
     OR (v_sealed#>>'{data,origin}', v_sealed#>>'{data,start}', v_sealed#>>'{data,end}',
         v_sealed#>>'{data,manifest}', v_sealed#>>'{data,chain_end}', v_sealed#>>'{data,location}')
        IS DISTINCT FROM (v_data->>'origin', v_data->>'start', v_data->>'min_index', v_data->>'manifest',
                          v_data->>'chain', v_data->>'location')
     OR coalesce(v_end >= (SELECT max(size) FROM ledger.checkpoint WHERE log_id = v_log.log_id), true)
     OR (v_data->>'chain') IS DISTINCT FROM
        (SELECT encode(chain, 'hex') FROM ledger.entry WHERE log_id = v_log.log_id AND seq = v_end - 1) THEN
    RAISE EXCEPTION 'the entry % does not fit log % as it stands at %', p_event_id, v_log.origin, v_log.min_index
      USING ERRCODE = 'MN010';
  END IF;
  SELECT max(r.at) INTO v_newest
    FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
   CROSS JOIN LATERAL ledger.event_read(b.bytes) r
   WHERE e.log_id = v_log.log_id AND e.seq >= v_log.min_index AND e.seq < v_end;
  v_objection := coalesce(ledger.retention_hold(v_log.class),
                          ledger.retention_objection(v_log.class, v_newest, clock_timestamp()));
  IF v_objection IS NOT NULL THEN
    RAISE EXCEPTION '% cannot be pruned: %', v_log.origin, v_objection USING ERRCODE = 'MN010';
  END IF;
  DELETE FROM public.audit_sealedvalue s
   USING ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
   WHERE e.log_id = v_log.log_id AND e.seq >= v_log.min_index AND e.seq < v_end AND s.event_id = b.event_id;
  DELETE FROM ledger.projection WHERE log_id = v_log.log_id AND seq < v_end;
  INSERT INTO ledger.pruning (event_id, log_id, start, min_index, chain, newest, manifest, location, proof)
  VALUES (p_event_id, v_log.log_id, v_log.min_index, v_end, decode(v_data->>'chain', 'hex'), v_newest,
          v_data->>'manifest', v_data->>'location', p_proof);
  UPDATE ledger.log SET min_index = v_end WHERE log_id = v_log.log_id;
END $$;
REVOKE ALL ON FUNCTION ledger.log_prune(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.log_prune(text, text) TO mn_archiver;
"""

PARTITIONS = """
-- The partitions of a table and log with their bounds, the oldest first.
CREATE FUNCTION ledger.partitions_of(p_table text, p_log_id smallint)
RETURNS TABLE (name text, start bigint, finish bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.relname::text, b.bound[1]::bigint, b.bound[2]::bigint
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                   'FROM \\(''(\\d+)''\\) TO \\(''(\\d+)''\\)') AS b(bound)
   WHERE i.inhparent = to_regclass(format('ledger.%I', p_table || '_' || p_log_id))
   ORDER BY 2
$$;

-- Drops the oldest partition of a log of which nothing is left that the log still has, and gives its name; null when
-- there is none. Bodies go first: their entries tell that every one of them had its place before the log's beginning.
CREATE FUNCTION ledger.partition_drop(p_origin text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log    ledger.log;
  v_table  text;
  v_part   record;
  v_kept   bigint;
  v_hold   text;
BEGIN
  PERFORM pg_advisory_xact_lock(1835925506);
  SELECT * INTO v_log FROM ledger.log WHERE origin = p_origin FOR NO KEY UPDATE;
  IF NOT EXISTS (SELECT FROM ledger.pruning WHERE log_id = v_log.log_id AND min_index = v_log.min_index) THEN
    RETURN NULL;
  END IF;
  v_hold := ledger.retention_hold(v_log.class);
  IF v_hold IS NOT NULL THEN
    RAISE EXCEPTION 'nothing of % can be dropped: %', p_origin, v_hold USING ERRCODE = 'MN010';
  END IF;
  -- Nothing beyond the body of the first entry that is left, and nothing at all if that is missing.
  SELECT body_id INTO v_kept FROM ledger.entry WHERE log_id = v_log.log_id AND seq = v_log.min_index;
  IF v_kept IS NULL THEN
    RETURN NULL;
  END IF;
  v_table := 'body_' || v_log.log_id;
  SELECT * INTO v_part FROM ledger.partitions_of('body', v_log.log_id) LIMIT 1;
  IF v_part.finish <= v_kept THEN
    -- Whoever is still writing into it has finished once the lock is there.
    EXECUTE format('LOCK TABLE ledger.%I IN SHARE MODE', v_part.name);
  END IF;
  IF coalesce(v_part.finish > v_kept, true) OR EXISTS (
       SELECT FROM ledger.body b WHERE b.log_id = v_log.log_id AND b.id >= v_part.start AND b.id < v_part.finish
          AND NOT EXISTS (SELECT FROM ledger.entry e WHERE e.log_id = v_log.log_id AND e.seq < v_log.min_index
                             AND e.body_id = b.id)) THEN
    v_table := 'entry_' || v_log.log_id;
    SELECT * INTO v_part FROM ledger.partitions_of('entry', v_log.log_id) LIMIT 1;
    IF coalesce(v_part.finish > v_log.min_index, true) OR EXISTS (
         SELECT FROM ledger.entry e JOIN ledger.body b ON b.log_id = e.log_id AND b.id = e.body_id
          WHERE e.log_id = v_log.log_id AND e.seq >= v_part.start AND e.seq < v_part.finish) THEN
      RETURN NULL;
    END IF;
  END IF;
  EXECUTE format('ALTER TABLE ledger.%I DETACH PARTITION ledger.%I', v_table, v_part.name);
  EXECUTE format('DROP TABLE ledger.%I', v_part.name);
  RETURN v_part.name;
END $$;
REVOKE ALL ON FUNCTION ledger.partition_drop(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.partition_drop(text) TO mn_archiver;
"""

# As before, but that nothing is found of what the log no longer has, also when the projection is made anew.
VIEW = """
CREATE OR REPLACE VIEW ledger.entry_view AS
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
            FROM ledger.projected d JOIN ledger.log g USING (log_id)
            JOIN ledger.entry e ON e.log_id = d.log_id AND e.seq >= greatest(d.size, g.min_index)) w
    JOIN ledger.log l USING (log_id)
    JOIN ledger.body b ON b.log_id = w.log_id AND b.id = w.body_id
   CROSS JOIN LATERAL ledger.event_read(b.bytes) r;
RESET ROLE;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0009_erasure")]
    operations = [migrations.RunSQL(ROLE + TABLES + SCHEDULES + PRUNING + PARTITIONS + VIEW)]
