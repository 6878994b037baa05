"""What the database itself refuses: changing records of fact, and signing one's own work."""

from django.db import migrations

INSERT_ONLY = (
    "governance_artifact",
    "governance_datasetversion",
    "governance_deployment",
    "governance_evidence",
    "governance_lineageedge",
    "governance_modelversion",
    "governance_policy",
    "governance_policyversion",
    "governance_run",
    "governance_signature",
)

FUNCTIONS = """
CREATE FUNCTION governance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % refused: records of fact are never changed; register a new one', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;

-- A decision changes only while it waits for signatures, and then only in its outcome.
CREATE FUNCTION governance_decision_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'pending' THEN
    RAISE EXCEPTION 'decision % is %: a verdict never changes; request a new decision', OLD.id, OLD.state
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.model_version_id, NEW.environment, NEW.policy_version_id, NEW.evidence_set_digest, NEW.context,
      NEW.requested_by_id, NEW.evaluated_at)
     IS DISTINCT FROM
     (OLD.id, OLD.model_version_id, OLD.environment, OLD.policy_version_id, OLD.evidence_set_digest, OLD.context,
      OLD.requested_by_id, OLD.evaluated_at) THEN
    RAISE EXCEPTION 'decision %: what it rests on never changes', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- What is asked of the signers is fixed when they are asked, and an answer is final.
CREATE FUNCTION governance_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' THEN
    RAISE EXCEPTION 'approval request % is already %', OLD.id, OLD.state USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.decision_id, NEW.quorum, NEW.roles, NEW.opened_at)
     IS DISTINCT FROM (OLD.id, OLD.decision_id, OLD.quorum, OLD.roles, OLD.opened_at) THEN
    RAISE EXCEPTION 'approval request %: what it asks for never changes', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- Separation of duties, also for whoever writes SQL: the signer is a person without power over the rules, and neither
-- wrote the model, nor asked for the decision, nor produced the evidence, nor published the policy.
CREATE FUNCTION governance_signature_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE involved boolean;
BEGIN
  IF EXISTS (SELECT FROM governance_user WHERE id = NEW.signer_id AND (is_service OR is_superuser)) THEN
    RAISE EXCEPTION 'signature refused: % is a service account or a superuser', NEW.signer_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF NOT EXISTS (SELECT FROM governance_approvalrequest WHERE id = NEW.request_id AND state = 'open') THEN
    RAISE EXCEPTION 'signature refused: request % is not open', NEW.request_id USING ERRCODE = 'restrict_violation';
  END IF;
  SELECT EXISTS (
    SELECT FROM governance_approvalrequest r
      JOIN governance_decision d ON d.id = r.decision_id
      JOIN governance_modelversion m ON m.id = d.model_version_id
      LEFT JOIN governance_policyversion p ON p.id = d.policy_version_id
      LEFT JOIN governance_evidence e ON e.model_version_id = m.id
      JOIN governance_user u ON u.id IN (m.author_id, m.registered_by_id, d.requested_by_id, p.published_by_id, e.producer_id)
     WHERE r.id = NEW.request_id AND NEW.signer_id IN (u.id, u.owner_id)) INTO involved;
  IF involved THEN
    RAISE EXCEPTION 'signature refused: % took part in what is to be approved', NEW.signer_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""

TRIGGERS = """
CREATE TRIGGER verdict_final BEFORE UPDATE ON governance_decision
  FOR EACH ROW EXECUTE FUNCTION governance_decision_guard();
CREATE TRIGGER decision_kept BEFORE DELETE ON governance_decision
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER decision_not_truncated BEFORE TRUNCATE ON governance_decision
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER separation_of_duties BEFORE INSERT ON governance_signature
  FOR EACH ROW EXECUTE FUNCTION governance_signature_guard();
CREATE TRIGGER answer_final BEFORE UPDATE ON governance_approvalrequest
  FOR EACH ROW EXECUTE FUNCTION governance_request_guard();
CREATE TRIGGER request_kept BEFORE DELETE ON governance_approvalrequest
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER request_not_truncated BEFORE TRUNCATE ON governance_approvalrequest
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON governance_decision, governance_approvalrequest FROM mn_app;
""" + "".join(
    f"""
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE UPDATE, DELETE ON {table} FROM mn_app;
"""
    for table in INSERT_ONLY
)

# SELECT ... FOR UPDATE, by which evidence, decisions and signatures wait for each other, asks for the right to update
# some column. The triggers above refuse the update itself.
LOCKS = """
GRANT UPDATE (id) ON governance_modelversion, governance_policy TO mn_app;
"""

UNDO = """
DROP FUNCTION governance_signature_guard() CASCADE;
DROP FUNCTION governance_request_guard() CASCADE;
DROP FUNCTION governance_decision_guard() CASCADE;
DROP FUNCTION governance_refuse_change() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0001_initial"), ("audit", "0002_logs")]
    operations = [migrations.RunSQL(FUNCTIONS + TRIGGERS + LOCKS, UNDO)]
