"""Passkeys, what is prepared for them to sign, and what the database refuses about both."""

import datetime
import functools

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import modelnotary.ids
from governance.migrations._guards import checked, insert_only

PASSKEY = "governance_passkey"
GUARD = f"""
-- A passkey is a person's own for good; its key, its end and how far it counted stay as they are.
CREATE FUNCTION governance_passkey_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF EXISTS (SELECT FROM governance_user WHERE id = NEW.user_id AND (is_service OR is_superuser)) THEN
      RAISE EXCEPTION 'passkey refused: % never signs', NEW.user_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.registered_at IS NOT NULL OR NEW.revoked_at IS NOT NULL OR octet_length(NEW.challenge) <> 32 THEN
      RAISE EXCEPTION 'passkey refused: it begins as a challenge' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.id, NEW.user_id, NEW.name, NEW.rp_id, NEW.challenge, NEW.requested_at)
     IS DISTINCT FROM (OLD.id, OLD.user_id, OLD.name, OLD.rp_id, OLD.challenge, OLD.requested_at)
     OR (OLD.registered_at IS NOT NULL
         AND (NEW.registered_at, NEW.credential_id, NEW.public_key, NEW.backup_eligible)
         IS DISTINCT FROM (OLD.registered_at, OLD.credential_id, OLD.public_key, OLD.backup_eligible))
     OR OLD.revoked_at IS NOT NULL THEN
    RAISE EXCEPTION 'passkey %: what it is and its end never change', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.sign_count IS NOT NULL AND NEW.sign_count < OLD.sign_count THEN
    RAISE EXCEPTION 'passkey %: its counter never goes back', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER passkey_true BEFORE INSERT OR UPDATE ON {PASSKEY}
  FOR EACH ROW EXECUTE FUNCTION governance_passkey_guard();
CREATE TRIGGER passkey_kept BEFORE DELETE ON {PASSKEY}
  FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER passkey_not_truncated BEFORE TRUNCATE ON {PASSKEY}
  FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
REVOKE DELETE ON {PASSKEY} FROM mn_app;
"""
CAPTURE = "".join(
    f"""
CREATE TRIGGER capture_{event} AFTER {event.upper()} ON {PASSKEY} {how}
  EXECUTE FUNCTION ledger.change_capture('id');
ALTER TABLE {PASSKEY} ENABLE ALWAYS TRIGGER capture_{event};
"""
    for event, how in (
        ("insert", "REFERENCING NEW TABLE AS changed FOR EACH STATEMENT"),
        ("delete", "REFERENCING OLD TABLE AS changed FOR EACH STATEMENT"),
        # The counter belongs to the signature, which has its own event; a refused one has one too.
        (
            "update",
            "FOR EACH ROW WHEN (to_jsonb(OLD) - ARRAY['sign_count'] IS DISTINCT FROM to_jsonb(NEW) - ARRAY['sign_count'])",
        ),
    )
)
# Whose statement, and whether it is the one that was prepared, is checked once more beside the row itself.
SIGNATURE = """
CREATE FUNCTION governance_passkey_signature_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.method = 'passkey' THEN
    IF NOT EXISTS (
      SELECT FROM governance_passkey p WHERE p.id = NEW.passkey_id AND p.user_id = NEW.signer_id
         AND p.registered_at IS NOT NULL AND p.revoked_at IS NULL) THEN
      RAISE EXCEPTION 'signature refused: % is no passkey that % signs with', NEW.passkey_id, NEW.signer_id
        USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT EXISTS (
      SELECT FROM governance_signingticket t WHERE t.id = NEW.ticket_id AND t.signer_id = NEW.signer_id
         AND t.request_id = NEW.request_id AND t.statement = NEW.statement
         AND NEW.signed_at >= t.prepared_at AND NEW.signed_at < t.expires_at) THEN
      RAISE EXCEPTION 'signature refused: this was not prepared for % in ticket %', NEW.signer_id, NEW.ticket_id
        USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER by_passkey BEFORE INSERT ON governance_signature
  FOR EACH ROW EXECUTE FUNCTION governance_passkey_signature_guard();
"""
TICKET = """
BEGIN
  IF EXISTS (SELECT FROM governance_user WHERE id = NEW.signer_id AND (is_service OR is_superuser)) THEN
    RAISE EXCEPTION 'ticket refused: % never signs', NEW.signer_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
"""
GUARDS = (
    GUARD
    + CAPTURE
    + insert_only("governance_signingticket")
    + checked("governance_signingticket", "governance_signing_ticket_guard", TICKET)
    + SIGNATURE
)
UNDO = """
DROP FUNCTION governance_signing_ticket_guard() CASCADE;
DROP FUNCTION governance_passkey_signature_guard() CASCADE;
DROP FUNCTION governance_passkey_guard() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0017_evidence_subjects"),
    ]

    operations = [
        migrations.AddField(
            model_name="signature",
            name="assertion",
            field=models.BinaryField(help_text="The passkey's signature over both.", null=True),
        ),
        migrations.AddField(
            model_name="signature",
            name="authenticator_data",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="signature",
            name="client_data",
            field=models.BinaryField(help_text="JSON that the browser made, exactly as it came.", null=True),
        ),
        migrations.CreateModel(
            name="Passkey",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("psk",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("rp_id", models.CharField(help_text="Domain that it was made for.", max_length=253)),
                ("challenge", models.BinaryField(help_text="That its first answer has to carry, 32 bytes.")),
                ("requested_at", models.DateTimeField()),
                ("registered_at", models.DateTimeField(null=True)),
                (
                    "credential_id",
                    models.BinaryField(help_text="The authenticator's own name for it.", null=True, unique=True),
                ),
                (
                    "public_key",
                    models.BinaryField(help_text="COSE key (RFC 9052), as the authenticator wrote it.", null=True),
                ),
                (
                    "backup_eligible",
                    models.BooleanField(help_text="Whether its owner's devices may copy it.", null=True),
                ),
                (
                    "sign_count",
                    models.BigIntegerField(help_text="The authenticator's counter; 0 if it has none.", null=True),
                ),
                ("revoked_at", models.DateTimeField(null=True)),
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
                        related_name="passkeys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-requested_at",),
            },
        ),
        migrations.AddField(
            model_name="signature",
            name="passkey",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="signatures",
                to="governance.passkey",
            ),
        ),
        migrations.CreateModel(
            name="SigningTicket",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=functools.partial(modelnotary.ids.new_id, *("tkt",), **{}),
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("statement", models.BinaryField(help_text="Canonical JSON of what is to be signed.")),
                ("prepared_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tickets",
                        to="governance.approvalrequest",
                    ),
                ),
                (
                    "signer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "ordering": ("-prepared_at",),
            },
        ),
        migrations.AddField(
            model_name="signature",
            name="ticket",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="signature",
                to="governance.signingticket",
            ),
        ),
        migrations.AddConstraint(
            model_name="signature",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("assertion__isnull", False),
                        ("authenticator_data__isnull", False),
                        ("client_data__isnull", False),
                        ("method", "passkey"),
                        ("passkey__isnull", False),
                        ("ticket__isnull", False),
                    ),
                    models.Q(
                        models.Q(("method", "passkey"), _negated=True),
                        ("assertion__isnull", True),
                        ("authenticator_data__isnull", True),
                        ("client_data__isnull", True),
                        ("passkey__isnull", True),
                        ("ticket__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="signature_by_passkey_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="passkey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("backup_eligible__isnull", True),
                        ("credential_id__isnull", True),
                        ("public_key__isnull", True),
                        ("registered_at__isnull", True),
                        ("sign_count__isnull", True),
                    ),
                    models.Q(
                        ("backup_eligible__isnull", False),
                        ("credential_id__isnull", False),
                        ("public_key__isnull", False),
                        ("registered_at__isnull", False),
                        ("sign_count__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="passkey_registered_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="passkey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("revoked_at__isnull", True), ("revoked_by__isnull", True)),
                    models.Q(("revoked_at__isnull", False), ("revoked_by__isnull", False)),
                    _connector="OR",
                ),
                name="passkey_revoked_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="signingticket",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("expires_at__gt", models.F("prepared_at")),
                    (
                        "expires_at__lte",
                        models.expressions.CombinedExpression(
                            models.F("prepared_at"), "+", models.Value(datetime.timedelta(seconds=120))
                        ),
                    ),
                ),
                name="signing_ticket_short",
            ),
        ),
        migrations.RunSQL(GUARDS, UNDO),
    ]
