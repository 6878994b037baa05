"""The ledger: roles, tables, the append function, append-only triggers, grants.

Plain SQL, because the guarantees are the database's own. The application role may only EXECUTE ledger.append; the
tables belong to a role that nobody can log in as.
"""

from django.db import migrations

ROLES = """
DO $$
DECLARE wanted record;
BEGIN
  FOR wanted IN SELECT * FROM (VALUES
      ('mn_owner', 'NOLOGIN'), ('mn_app', 'LOGIN'), ('mn_auditor', 'LOGIN'),
      ('mn_sequencer', 'LOGIN'), ('mn_signer', 'LOGIN')) AS w(name, login)
  LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', wanted.name, wanted.login);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;  -- another database of this cluster made it
    END;
  END LOOP;
  IF NOT pg_has_role(current_user, 'mn_owner', 'SET') THEN
    EXECUTE format('GRANT mn_owner TO %I WITH INHERIT TRUE, SET TRUE', current_user);
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO mn_app, mn_auditor, mn_sequencer, mn_signer', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mn_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO mn_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO mn_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO mn_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO mn_app;

CREATE SCHEMA ledger AUTHORIZATION mn_owner;
"""

TABLES = """
SET LOCAL ROLE mn_owner;

CREATE TABLE ledger.log (
  log_id      smallint PRIMARY KEY,
  name        text NOT NULL UNIQUE,
  origin      text NOT NULL UNIQUE,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Written once inside the business transaction, hashed as stored. The columns after `bytes` are read out of it by
-- ledger.append for searching; the verifier trusts `bytes` alone.
CREATE TABLE ledger.body (
  id              bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  log_id          smallint NOT NULL REFERENCES ledger.log,
  bytes           bytea NOT NULL CHECK (octet_length(bytes) BETWEEN 2 AND 65535),
  event_id        text NOT NULL UNIQUE,
  event_type      text NOT NULL,
  at              timestamptz NOT NULL,
  actor_id        text NOT NULL,
  actor_name      text NOT NULL,
  subject_kind    text NOT NULL,
  subject_id      text NOT NULL,
  subject_digest  text,
  xid             xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX body_subject ON ledger.body (subject_id, id);
CREATE INDEX body_type ON ledger.body (event_type, id);

-- The only mutable table on the write path: what waits for its place in a log.
CREATE TABLE ledger.queue (
  id      bigint PRIMARY KEY,
  log_id  smallint NOT NULL
);
CREATE INDEX queue_log ON ledger.queue (log_id, id);

CREATE TABLE ledger.entry (
  log_id   smallint NOT NULL REFERENCES ledger.log,
  seq      bigint NOT NULL CHECK (seq >= 0),
  body_id  bigint NOT NULL UNIQUE REFERENCES ledger.body,
  leaf     bytea NOT NULL CHECK (octet_length(leaf) = 32),
  chain    bytea NOT NULL CHECK (octet_length(chain) = 32),
  PRIMARY KEY (log_id, seq)
);

-- Root of each full subtree of 2^level leaves, level a positive multiple of 8; level 0 is entry.leaf.
CREATE TABLE ledger.node (
  log_id  smallint NOT NULL REFERENCES ledger.log,
  level   smallint NOT NULL CHECK (level > 0 AND level % 8 = 0),
  idx     bigint NOT NULL CHECK (idx >= 0),
  hash    bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (log_id, level, idx)
);

CREATE TABLE ledger.head (
  log_id    smallint PRIMARY KEY REFERENCES ledger.log,
  size      bigint NOT NULL,
  root      bytea NOT NULL CHECK (octet_length(root) = 32),
  chain     bytea NOT NULL CHECK (octet_length(chain) = 32),
  frontier  bytea[] NOT NULL
);

CREATE TABLE ledger.checkpoint (
  log_id  smallint NOT NULL REFERENCES ledger.log,
  size    bigint NOT NULL,
  root    bytea NOT NULL CHECK (octet_length(root) = 32),
  note    text NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (log_id, size)
);
"""

APPEND = """
-- The one way in. Owned by mn_owner, so the caller needs no right on any table.
CREATE FUNCTION ledger.append(p_log text, p_bytes bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_log smallint;
  v_id  bigint;
  v_doc jsonb := convert_from(p_bytes, 'UTF8')::jsonb;
BEGIN
  SELECT log_id INTO v_log FROM ledger.log WHERE name = p_log;
  IF v_log IS NULL OR v_doc->>'log' IS DISTINCT FROM p_log THEN
    RAISE EXCEPTION 'the event names log "%", the call names log "%"', v_doc->>'log', p_log USING ERRCODE = '22023';
  END IF;
  INSERT INTO ledger.body (log_id, bytes, event_id, event_type, at, actor_id, actor_name,
                           subject_kind, subject_id, subject_digest)
  VALUES (v_log, p_bytes, v_doc->>'id', v_doc->>'type', (v_doc->>'at')::timestamptz,
          v_doc#>>'{actor,id}', v_doc#>>'{actor,name}',
          v_doc#>>'{subject,kind}', v_doc#>>'{subject,id}', v_doc#>>'{subject,digest}')
  RETURNING id INTO v_id;
  INSERT INTO ledger.queue (id, log_id) VALUES (v_id, v_log);
  RETURN v_id;
END $$;
REVOKE ALL ON FUNCTION ledger.append(text, bytea) FROM PUBLIC;
"""

APPEND_ONLY = """
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of %.% refused: the ledger is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION ledger.head_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.log_id <> OLD.log_id OR NEW.size <= OLD.size THEN
    RAISE EXCEPTION 'head of log % refused: size % does not grow to %', OLD.log_id, OLD.size, NEW.size
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['log', 'body', 'entry', 'node', 'checkpoint'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I
                    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change()', t);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['log', 'body', 'entry', 'node', 'checkpoint', 'head', 'queue'] LOOP
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', t);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER no_truncate', t);
  END LOOP;
END $$;

CREATE TRIGGER only_grows BEFORE UPDATE ON ledger.head FOR EACH ROW EXECUTE FUNCTION ledger.head_only_grows();
ALTER TABLE ledger.head ENABLE ALWAYS TRIGGER only_grows;
CREATE TRIGGER no_delete BEFORE DELETE ON ledger.head FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.head ENABLE ALWAYS TRIGGER no_delete;
"""

VIEWS = """
CREATE VIEW ledger.entry_view AS
  SELECT b.id AS body_id, l.name AS log, e.seq, b.event_id, b.event_type, b.at, b.actor_id, b.actor_name,
         b.subject_kind, b.subject_id, b.subject_digest, b.bytes, e.leaf
    FROM ledger.body b JOIN ledger.log l USING (log_id) LEFT JOIN ledger.entry e ON e.body_id = b.id;

CREATE VIEW ledger.checkpoint_view AS
  SELECT l.name || '/' || c.size AS id, l.name AS log, l.origin, c.size, c.root, c.note, c.at
    FROM ledger.checkpoint c JOIN ledger.log l USING (log_id);
"""

GRANTS = """
GRANT USAGE ON SCHEMA ledger TO mn_app, mn_auditor, mn_sequencer, mn_signer;
GRANT EXECUTE ON FUNCTION ledger.append(text, bytea) TO mn_app;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO mn_auditor, mn_sequencer;
GRANT INSERT ON ledger.entry, ledger.node, ledger.checkpoint TO mn_sequencer;
GRANT UPDATE ON ledger.head TO mn_sequencer;
GRANT DELETE ON ledger.queue TO mn_sequencer;
GRANT SELECT ON ledger.log, ledger.body, ledger.entry, ledger.head TO mn_signer;

RESET ROLE;
"""

UNDO = "DROP SCHEMA ledger CASCADE;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(ROLES + TABLES + APPEND + APPEND_ONLY + VIEWS + GRANTS, UNDO)]
