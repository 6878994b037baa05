"""Authenticator apps, the lock after wrong proofs, and what the database refuses about them."""

from functools import partial

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import modelnotary.ids

TABLE = "governance_authenticator"
FUNCTION = """
-- An authenticator is a person's own for good; a code that was used and an end that was set stay so.
CREATE FUNCTION governance_authenticator_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF EXISTS (SELECT FROM governance_user WHERE id = NEW.user_id AND (is_service OR is_superuser)) THEN
      RAISE EXCEPTION 'authenticator refused: % never signs', NEW.user_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.enrolled_at IS NOT NULL OR NEW.revoked_at IS NOT NULL OR NEW.last_step IS NOT NULL THEN
      RAISE EXCEPTION 'authenticator refused: it begins without a code' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.id, NEW.user_id, NEW.name, NEW.secret, NEW.requested_at)
     IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.name, OLD.secret, OLD.requested_at)
     OR (OLD.enrolled_at IS NOT NULL AND NEW.enrolled_at IS DISTINCT FROM OLD.enrolled_at)
     OR OLD.revoked_at IS NOT NULL THEN
    RAISE EXCEPTION 'authenticator %: what it is and its end never change', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.last_step IS NOT NULL AND NEW.last_step IS DISTINCT FROM OLD.last_step
     AND (NEW.last_step IS NULL OR NEW.last_step < OLD.last_step) THEN
    RAISE EXCEPTION 'authenticator %: a code that was used stays used', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""
TRIGGERS = f"""
CREATE TRIGGER authenticator_true BEFORE INSERT OR UPDATE ON {TABLE}
  FOR EACH ROW EXECUTE FUNCTION governance_authenticator_guard();
CREATE TRIGGER authenticator_kept BEFORE DELETE ON {TABLE}
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER authenticator_not_truncated BEFORE TRUNCATE ON {TABLE}
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON {TABLE} FROM mn_app;
"""


def capture_update(table: str, *operational: str) -> str:
    """Capture changes of a row but those of columns that tell how work goes on, not what is so."""
    names = ", ".join(f"'{column}'" for column in operational)
    return f"""
CREATE TRIGGER capture_update AFTER UPDATE ON {table}
  FOR EACH ROW WHEN (to_jsonb(OLD) - ARRAY[{names}] IS DISTINCT FROM to_jsonb(NEW) - ARRAY[{names}])
  EXECUTE FUNCTION ledger.change_capture('id');
ALTER TABLE {table} ENABLE ALWAYS TRIGGER capture_update;
"""


CAPTURE = (
    "".join(
        f"""
CREATE TRIGGER capture_{event} AFTER {event.upper()} ON {TABLE} REFERENCING {rows} TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.change_capture('id');
ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER capture_{event};
"""
        for event, rows in (("insert", "NEW"), ("delete", "OLD"))
    )
    # The use of a code belongs to the signature, which has its own event; a refused one has one too.
    + capture_update(TABLE, "last_step")
    + "DROP TRIGGER capture_update ON governance_user;"
    # That signing was locked is an event; each wrong proof is one with what was refused.
    + capture_update("governance_user", "last_login", "signing_failures", "signing_locked_until")
)


class Migration(migrations.Migration):
    dependencies = [("governance", "0008_evidence_types")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="signing_failures",
            field=models.PositiveIntegerField(default=0, help_text="Wrong proofs in a row."),
        ),
        migrations.AddField(
            model_name="user",
            name="signing_locked_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="Authenticator",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=partial(modelnotary.ids.new_id, "atr"),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("secret", models.BinaryField(help_text="Encrypted under a key of the person's own.")),
                ("requested_at", models.DateTimeField()),
                ("enrolled_at", models.DateTimeField(help_text="When its first code was given.", null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "last_step",
                    models.BigIntegerField(help_text="The newest time step of which a code was used.", null=True),
                ),
                (
                    "revoked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="authenticators",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-requested_at",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("enrolled_at__isnull", False), ("revoked_at__isnull", True)),
                        fields=("user",),
                        name="one_authenticator_for_each_person",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("enrolled_at__isnull", True), ("last_step__isnull", False), _connector="OR"
                        ),
                        name="authenticator_enrolled_by_code",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("revoked_at__isnull", True), ("revoked_by__isnull", True))
                        | models.Q(("revoked_at__isnull", False), ("revoked_by__isnull", False)),
                        name="authenticator_revoked_by_somebody",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FUNCTION + TRIGGERS + CAPTURE, migrations.RunSQL.noop),
    ]
