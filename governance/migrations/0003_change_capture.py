"""Every change of a governed record leaves a row in ledger.change, however it was made."""

from django.db import migrations

KEYS = {
    "governance_aisystem": "id",
    "governance_apitoken": "id",
    "governance_approvalrequest": "id",
    "governance_artifact": "digest",
    "governance_dataset": "id",
    "governance_datasetversion": "id",
    "governance_decision": "id",
    "governance_deployment": "id",
    "governance_evidence": "id",
    "governance_job": "id",
    "governance_lineageedge": "id",
    "governance_model": "id",
    "governance_modelversion": "id",
    "governance_policy": "id",
    "governance_policyversion": "id",
    "governance_run": "id",
    "governance_signature": "id",
    "governance_user": "id",
    "governance_user_groups": "id",
    "governance_user_user_permissions": "id",
}

# Columns that tell how work goes on, not what is so; a change of these alone is not captured.
OPERATIONAL = {
    "governance_apitoken": ("last_used_at",),  # when it was last shown, to the minute; what was done has its own events
    "governance_user": ("last_login",),  # written at each sign-in
    # A job's progress. That it was asked for, failed or was cancelled, and what it made, are events.
    "governance_job": ("state", "attempts", "done", "total", "stage", "heartbeat_at"),
}


def capture(table: str, key: str, operational: tuple[str, ...] = ()) -> str:
    """The triggers of one table: per statement, and per row where only some columns count."""
    names = ", ".join(f"'{column}'" for column in operational)
    update = (
        f"FOR EACH ROW WHEN (to_jsonb(OLD) - ARRAY[{names}] IS DISTINCT FROM to_jsonb(NEW) - ARRAY[{names}])"
        if operational
        else "REFERENCING NEW TABLE AS changed FOR EACH STATEMENT"
    )
    events = {
        "insert": "REFERENCING NEW TABLE AS changed FOR EACH STATEMENT",
        "update": update,
        "delete": "REFERENCING OLD TABLE AS changed FOR EACH STATEMENT",
    }
    return "".join(
        f"CREATE TRIGGER capture_{event} AFTER {event.upper()} ON {table} {how} "
        f"EXECUTE FUNCTION ledger.change_capture('{key}');\n"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER capture_{event};\n"
        for event, how in events.items()
    )


def release(table: str) -> str:
    return "".join(f"DROP TRIGGER capture_{event} ON {table};\n" for event in ("insert", "update", "delete"))


class Migration(migrations.Migration):
    dependencies = [("governance", "0002_guards"), ("audit", "0006_changes")]
    operations = [
        migrations.RunSQL(
            "".join(capture(table, key, OPERATIONAL.get(table, ())) for table, key in KEYS.items()),
            "".join(map(release, KEYS)),
        )
    ]
