"""How many signatures a request wants in each role, without which no decision passes; and people are kept for good."""

from django.db import migrations, models

GUARDS = """
CREATE OR REPLACE FUNCTION governance_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' THEN
    RAISE EXCEPTION 'approval request % is already %', OLD.id, OLD.state USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.decision_id, NEW.quorum, NEW.roles, NEW.at_least, NEW.opened_at)
     IS DISTINCT FROM (OLD.id, OLD.decision_id, OLD.quorum, OLD.roles, OLD.at_least, OLD.opened_at) THEN
    RAISE EXCEPTION 'approval request %: what it asks for never changes', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- A decision passes by signatures alone: enough people, enough of each role, and nobody who refuses.
CREATE FUNCTION governance_passing_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM governance_approvalrequest r
     WHERE r.decision_id = NEW.id
       AND r.quorum <= (SELECT count(*) FROM governance_signature s WHERE s.request_id = r.id AND s.vote = 'approve')
       AND NOT EXISTS (SELECT FROM governance_signature s WHERE s.request_id = r.id AND s.vote <> 'approve')
       AND NOT EXISTS (
         SELECT FROM jsonb_each_text(r.at_least) AS wanted(role, number)
          WHERE wanted.number::int > (SELECT count(*) FROM governance_signature s
                                       WHERE s.request_id = r.id AND s.vote = 'approve' AND s.role = wanted.role))) THEN
    RAISE EXCEPTION 'decision % lacks the signatures that it needs to pass', NEW.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER passed_by_signatures BEFORE INSERT OR UPDATE ON governance_decision
  FOR EACH ROW WHEN (NEW.state = 'passed') EXECUTE FUNCTION governance_passing_guard();

-- Who once had an account is named for good by what they did, and by what they did not do.
CREATE TRIGGER person_kept BEFORE DELETE ON governance_user
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER person_not_truncated BEFORE TRUNCATE ON governance_user
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON governance_user FROM mn_app;
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0010_policy_drafts")]

    operations = [
        migrations.AddField(
            model_name="approvalrequest",
            name="at_least",
            field=models.JSONField(default=dict, help_text="Role to the number of signatures wanted in it, at least."),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
