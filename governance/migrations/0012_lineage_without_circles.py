"""Lineage has no circles and joins only what exists, also for whoever writes SQL; and is walked level by level."""

from django.db import migrations, models

PATH = """
-- A way down from one thing to another, or nothing. Searched from both ends, each time from the one where less is new:
-- a step to something just registered is checked by looking at that alone.
CREATE FUNCTION governance_lineage_path(start text, goal text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  down text[] := ARRAY[start];  down_by text[] := ARRAY[NULL::text];  down_edge text[] := down;
  up text[] := ARRAY[goal];     up_by text[] := ARRAY[NULL::text];    up_edge text[] := up;
  met text := CASE WHEN start = goal THEN start END;
  way text[];
BEGIN
  WHILE met IS NULL LOOP
    IF cardinality(down_edge) <= cardinality(up_edge) THEN
      SELECT array_agg(thing), array_agg(via), min(thing) FILTER (WHERE thing = ANY (up)) INTO down_edge, way, met
        FROM (SELECT DISTINCT ON (e.target_id) e.target_id AS thing, e.source_id AS via
                FROM governance_lineageedge e WHERE e.source_id = ANY (down_edge)
                 AND NOT EXISTS (SELECT FROM unnest(down) seen WHERE seen = e.target_id)) fresh;
      EXIT WHEN down_edge IS NULL;
      down := down || down_edge;  down_by := down_by || way;
    ELSE
      SELECT array_agg(thing), array_agg(via), min(thing) FILTER (WHERE thing = ANY (down)) INTO up_edge, way, met
        FROM (SELECT DISTINCT ON (e.source_id) e.source_id AS thing, e.target_id AS via
                FROM governance_lineageedge e WHERE e.target_id = ANY (up_edge)
                 AND NOT EXISTS (SELECT FROM unnest(up) seen WHERE seen = e.source_id)) fresh;
      EXIT WHEN up_edge IS NULL;
      up := up || up_edge;  up_by := up_by || way;
    END IF;
  END LOOP;
  IF met IS NULL THEN
    RETURN NULL;
  END IF;
  way := ARRAY[met];
  WHILE way[1] <> start LOOP
    way := down_by[array_position(down, way[1])] || way;
  END LOOP;
  WHILE way[cardinality(way)] <> goal LOOP
    way := way || up_by[array_position(up, way[cardinality(way)])];
  END LOOP;
  RETURN way;
END $$;
"""

GUARD = """
CREATE FUNCTION governance_lineage_end_exists(kind text, thing text) RETURNS boolean LANGUAGE sql AS $$
  SELECT CASE kind
    WHEN 'dataset_version' THEN EXISTS (SELECT FROM governance_datasetversion WHERE id = thing)
    WHEN 'run' THEN EXISTS (SELECT FROM governance_run WHERE id = thing)
    WHEN 'model_version' THEN EXISTS (SELECT FROM governance_modelversion WHERE id = thing)
    WHEN 'deployment' THEN EXISTS (SELECT FROM governance_deployment WHERE id = thing)
    WHEN 'decision' THEN EXISTS (SELECT FROM governance_decision WHERE id = thing)
    ELSE false END
$$;

-- After the row is there, so that of two rows of one statement each sees the other; and one transaction after the
-- other, so that of two at once the second sees what the first recorded. That needs a fresh look after the wait, which
-- only READ COMMITTED gives.
CREATE FUNCTION governance_lineage_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE way text[];
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'lineage is recorded in READ COMMITTED: in % a circle that another transaction closes is not seen',
      upper(current_setting('transaction_isolation')) USING ERRCODE = 'restrict_violation';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('governance.lineage', 0));
  IF NOT governance_lineage_end_exists(NEW.source_kind, NEW.source_id)
     OR NOT governance_lineage_end_exists(NEW.target_kind, NEW.target_id) THEN
    RAISE EXCEPTION 'step of lineage from % % to % %: one of them is not registered',
      NEW.source_kind, NEW.source_id, NEW.target_kind, NEW.target_id USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF NEW.target_kind = 'deployment' AND NOT EXISTS (
       SELECT FROM governance_deployment WHERE id = NEW.target_id AND model_version_id = NEW.source_id)
     OR NEW.target_kind = 'decision' AND NOT EXISTS (
       SELECT FROM governance_deployment WHERE id = NEW.source_id AND decision_id = NEW.target_id) THEN
    RAISE EXCEPTION 'step of lineage from % to %: the deployment says otherwise', NEW.source_id, NEW.target_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  way := governance_lineage_path(NEW.target_id, NEW.source_id);
  IF way IS NOT NULL THEN
    RAISE EXCEPTION 'lineage has no circles; the step from % to % would close: %',
      NEW.source_id, NEW.target_id, array_to_string(NEW.source_id || way, ' -> ') USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER no_circles AFTER INSERT ON governance_lineageedge
  FOR EACH ROW EXECUTE FUNCTION governance_lineage_guard();
ALTER TABLE governance_lineageedge ENABLE ALWAYS TRIGGER no_circles;
"""


def walk(name: str, near: str, far: str) -> str:
    """The SQL of a walk in one direction."""
    return f"""
CREATE FUNCTION {name}(
  start text, depths integer, steps integer, after_depth integer, after_near text, after_id text)
RETURNS TABLE (id text, source_kind text, source_id text, target_kind text, target_id text, role text, trust text,
               depth integer)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  level integer := 0;  given integer := 0;  added integer;
  edge text[] := ARRAY[start];  seen text[] := ARRAY[start];
BEGIN
  WHILE edge IS NOT NULL AND level < depths LOOP
    level := level + 1;
    IF level >= after_depth THEN
      RETURN QUERY SELECT e.id::text, e.source_kind::text, e.source_id::text, e.target_kind::text, e.target_id::text,
                          e.role::text, e.trust::text, level
        FROM governance_lineageedge e
       WHERE e.{near} = ANY (edge) AND (level > after_depth OR (e.{near}, e.id) > (after_near, after_id))
       ORDER BY e.{near}, e.id LIMIT steps - given;
      GET DIAGNOSTICS added = ROW_COUNT;
      given := given + added;
      EXIT WHEN given >= steps;
    END IF;
    SELECT array_agg(fresh.thing) INTO edge FROM (
      SELECT e.{far}::text FROM governance_lineageedge e WHERE e.{near} = ANY (edge)
      EXCEPT SELECT unnest(seen)) fresh(thing);
    seen := seen || edge;
  END LOOP;
END $$;
"""


WALKS = (
    walk("governance_lineage_up", "target_id", "source_id")
    + walk("governance_lineage_down", "source_id", "target_id")
    + """
-- The steps above or below a thing, each once, nearest first; after the one named, if one is.
CREATE FUNCTION governance_lineage_walk(
  start text, upwards boolean, depths integer, steps integer, after_depth integer, after_near text, after_id text)
RETURNS TABLE (id text, source_kind text, source_id text, target_kind text, target_id text, role text, trust text,
               depth integer)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF upwards THEN
    RETURN QUERY SELECT * FROM governance_lineage_up(start, depths, steps, after_depth, after_near, after_id);
  ELSE
    RETURN QUERY SELECT * FROM governance_lineage_down(start, depths, steps, after_depth, after_near, after_id);
  END IF;
END $$;
"""
)

UNDO = """
DROP FUNCTION governance_lineage_guard() CASCADE;
DROP FUNCTION governance_lineage_end_exists(text, text);
DROP FUNCTION governance_lineage_path(text, text);
DROP FUNCTION governance_lineage_walk(text, boolean, integer, integer, integer, text, text);
DROP FUNCTION governance_lineage_up(text, integer, integer, integer, text, text);
DROP FUNCTION governance_lineage_down(text, integer, integer, integer, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0011_quorum_of_roles")]

    operations = [
        migrations.RemoveConstraint(
            model_name="lineageedge",
            name="lineage_edge_once",
        ),
        migrations.RemoveIndex(
            model_name="lineageedge",
            name="governance__target__5ad62d_idx",
        ),
        migrations.RemoveIndex(
            model_name="lineageedge",
            name="governance__source__12267d_idx",
        ),
        migrations.AlterField(
            model_name="lineageedge",
            name="role",
            field=models.CharField(
                choices=[
                    ("trained_on", "Training data"),
                    ("evaluated_on", "Evaluation data"),
                    ("used", "Used"),
                    ("derived", "Derived"),
                    ("informed", "Ran before"),
                    ("produced", "Produced"),
                    ("deployed_as", "Deployed as"),
                    ("allowed_by", "Allowed by"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="lineageedge",
            name="source_kind",
            field=models.CharField(
                choices=[
                    ("dataset_version", "Dataset version"),
                    ("run", "Training run"),
                    ("model_version", "Model version"),
                    ("deployment", "Deployment"),
                    ("decision", "Decision"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="lineageedge",
            name="target_kind",
            field=models.CharField(
                choices=[
                    ("dataset_version", "Dataset version"),
                    ("run", "Training run"),
                    ("model_version", "Model version"),
                    ("deployment", "Deployment"),
                    ("decision", "Decision"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="lineageedge",
            name="trust",
            field=models.CharField(
                choices=[
                    ("self_reported", "Self-reported"),
                    ("reconciled", "Reported alike by two sources"),
                    ("measured", "Measured by the product"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="lineageedge",
            index=models.Index(fields=["source_id", "id"], include=("target_id",), name="lineage_edge_down"),
        ),
        migrations.AddIndex(
            model_name="lineageedge",
            index=models.Index(fields=["target_id", "id"], include=("source_id",), name="lineage_edge_up"),
        ),
        migrations.AddConstraint(
            model_name="lineageedge",
            constraint=models.UniqueConstraint(
                fields=("source_id", "target_id", "role", "trust"), name="lineage_edge_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="lineageedge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("role", "trained_on"), ("source_kind", "dataset_version"), ("target_kind", "run")),
                    models.Q(("role", "evaluated_on"), ("source_kind", "dataset_version"), ("target_kind", "run")),
                    models.Q(
                        ("role", "evaluated_on"), ("source_kind", "dataset_version"), ("target_kind", "model_version")
                    ),
                    models.Q(("role", "used"), ("source_kind", "dataset_version"), ("target_kind", "run")),
                    models.Q(("role", "used"), ("source_kind", "model_version"), ("target_kind", "run")),
                    models.Q(
                        ("role", "derived"), ("source_kind", "dataset_version"), ("target_kind", "dataset_version")
                    ),
                    models.Q(("role", "derived"), ("source_kind", "model_version"), ("target_kind", "model_version")),
                    models.Q(("role", "informed"), ("source_kind", "run"), ("target_kind", "run")),
                    models.Q(("role", "produced"), ("source_kind", "run"), ("target_kind", "model_version")),
                    models.Q(("role", "produced"), ("source_kind", "run"), ("target_kind", "dataset_version")),
                    models.Q(("role", "deployed_as"), ("source_kind", "model_version"), ("target_kind", "deployment")),
                    models.Q(("role", "allowed_by"), ("source_kind", "deployment"), ("target_kind", "decision")),
                    _connector="OR",
                ),
                name="lineage_edge_ends_fit_its_role",
            ),
        ),
        migrations.AddConstraint(
            model_name="lineageedge",
            constraint=models.CheckConstraint(
                condition=models.Q(("trust__in", ["self_reported", "reconciled", "measured"])),
                name="lineage_edge_trust_known",
            ),
        ),
        migrations.RunSQL(PATH + GUARD + WALKS, UNDO),
    ]
