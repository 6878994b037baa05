"""What is declared of a system, in insert-only versions."""

from functools import partial

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import modelnotary.ids

TABLE = "governance_systemdeclaration"
GUARDS = f"""
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON {TABLE}
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER not_truncated BEFORE TRUNCATE ON {TABLE}
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE UPDATE, DELETE ON {TABLE} FROM mn_app;
""" + "".join(
    f"""
CREATE TRIGGER capture_{event} AFTER {event.upper()} ON {TABLE} REFERENCING {rows} TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.change_capture('id');
ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER capture_{event};
"""
    for event, rows in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD"))
)


class Migration(migrations.Migration):
    dependencies = [("governance", "0003_change_capture")]
    operations = [
        migrations.CreateModel(
            name="SystemDeclaration",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "dcl"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("facts", models.JSONField(help_text="Name -> value. What is left out is unknown.")),
                ("reason", models.TextField(help_text="Why it is in scope or not, and what the rest rests on.")),
                ("declared_at", models.DateTimeField()),
                (
                    "declared_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "system",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="declarations",
                        to="governance.aisystem",
                    ),
                ),
            ],
            options={"ordering": ("-number",)},
        ),
        migrations.AddConstraint(
            model_name="systemdeclaration",
            constraint=models.UniqueConstraint(fields=("system", "number"), name="system_declaration_number_once"),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
