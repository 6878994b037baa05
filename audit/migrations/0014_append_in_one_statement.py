"""Append with less work: it is on the path of every business transaction. docs/adr/0020 tells what was tried."""

from django.db import migrations

CHECKS = """
SET LOCAL ROLE mn_owner;

-- PostgreSQL reads a table's check out of the catalogue and plans it anew for every statement. ledger.append, the one
-- way in, asks the same for nothing.
ALTER TABLE ledger.body DROP CONSTRAINT body_bytes_check1;
"""

APPEND = """
-- The one way in. Owned by mn_owner, so the caller needs no right on any table. The class of log comes twice, in the
-- call and in the event, and must be the same. A searched field may take 1000 bytes: an index holds no more, and the
-- event would stop the projection, and with it the log.
CREATE OR REPLACE FUNCTION ledger.append(p_log text, p_bytes bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id  bigint;
  v_doc jsonb := convert_from(p_bytes, 'UTF8')::jsonb;
BEGIN
  WITH written AS (
    INSERT INTO ledger.body (log_id, event_id, bytes)
      SELECT l.log_id, v_doc->>'id', p_bytes FROM ledger.log l
       WHERE l.class = p_log AND l.state = 'active' AND v_doc->>'log' = p_log AND octet_length(p_bytes) <= 65535
         AND (greatest(octet_length(v_doc->>'type'), octet_length(v_doc->'subject'->>'id'),
                       octet_length(v_doc->'subject'->>'digest')) > 1000) IS NOT TRUE
      RETURNING log_id, id)
  INSERT INTO ledger.queue (log_id, id) SELECT log_id, id FROM written RETURNING id INTO v_id;
  IF v_id IS NULL THEN
    PERFORM ledger.append_refuse(p_log, p_bytes);
  END IF;
  RETURN v_id;
END $$;

-- Says why ledger.append wrote nothing.
DROP FUNCTION ledger.append_refuse(text, text);
CREATE FUNCTION ledger.append_refuse(p_log text, p_bytes bytea) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_doc  jsonb := convert_from(p_bytes, 'UTF8')::jsonb;
  v_last record;
BEGIN
  SELECT name, state, state_reason INTO v_last FROM ledger.log WHERE class = p_log ORDER BY log_id DESC LIMIT 1;
  IF v_doc->>'log' IS DISTINCT FROM p_log OR NOT FOUND THEN
    RAISE EXCEPTION 'the event names log "%", the call names log "%"', v_doc->>'log', p_log USING ERRCODE = '22023';
  ELSIF octet_length(p_bytes) > 65535 THEN
    RAISE EXCEPTION 'an event may take 65535 bytes, this one takes %', octet_length(p_bytes)
      USING ERRCODE = 'check_violation';
  ELSIF greatest(octet_length(v_doc->>'type'), octet_length(v_doc->'subject'->>'id'),
                 octet_length(v_doc->'subject'->>'digest')) > 1000 THEN
    RAISE EXCEPTION 'type, subject id and subject digest of an event may take 1000 bytes each' USING ERRCODE = '22001';
  END IF;
  RAISE EXCEPTION 'log % is %: %', v_last.name, v_last.state, v_last.state_reason USING ERRCODE = 'MN001';
END $$;
REVOKE ALL ON FUNCTION ledger.append_refuse(text, bytea) FROM PUBLIC;

RESET ROLE;
"""


class Migration(migrations.Migration):
    """Let one statement check the event, write it and queue it."""

    dependencies = [("audit", "0013_successors")]
    operations = [migrations.RunSQL(CHECKS + APPEND)]
