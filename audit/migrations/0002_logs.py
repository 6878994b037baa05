"""The instance's two logs and their empty heads. An instance's name is frozen here: it is part of every origin."""

import hashlib

from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def logs_create(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE mn_owner")
        for log_id, name in ((1, "lineage"), (2, "access")):
            cursor.execute(
                "INSERT INTO ledger.log (log_id, name, origin) VALUES (%s, %s, %s)",
                (log_id, name, f"{settings.NOTARY_INSTANCE}/{name}"),
            )
            cursor.execute(
                "INSERT INTO ledger.head (log_id, size, root, chain, frontier) VALUES (%s, 0, %s, %s, '{}')",
                (log_id, hashlib.sha256(b"").digest(), bytes(32)),
            )
        cursor.execute("RESET ROLE")


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_ledger")]
    operations = [migrations.RunPython(logs_create, migrations.RunPython.noop)]
