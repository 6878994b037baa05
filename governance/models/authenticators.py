"""What people prove with, besides the password, that it is they who sign."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q

from modelnotary.ids import new_id


class Authenticator(models.Model):
    """An app that computes one-time codes (RFC 6238), enrolled by a person. Its secret is kept encrypted."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "atr"), editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="authenticators")
    name = models.CharField(max_length=100)
    secret = models.BinaryField(help_text="Encrypted under a key of the person's own.")
    requested_at = models.DateTimeField()
    enrolled_at = models.DateTimeField(null=True, help_text="When its first code was given.")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    last_step = models.BigIntegerField(null=True, help_text="The newest time step of which a code was used.")

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("user",),
                condition=Q(enrolled_at__isnull=False, revoked_at__isnull=True),
                name="one_authenticator_for_each_person",
            ),
            models.CheckConstraint(
                condition=Q(enrolled_at__isnull=True) | Q(last_step__isnull=False),
                name="authenticator_enrolled_by_code",
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
                name="authenticator_revoked_by_somebody",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} of {self.user.printed_name}"


class Passkey(models.Model):
    """A WebAuthn credential of a person's own, by whose private key they sign statements. Only the public key is here.

    It begins as a challenge; the answer of the authenticator, given with proof of who answers, registers it.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "psk"), editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="passkeys")
    name = models.CharField(max_length=100)
    rp_id = models.CharField(max_length=253, help_text="Domain that it was made for.")
    challenge = models.BinaryField(help_text="That its first answer has to carry, 32 bytes.")
    requested_at = models.DateTimeField()
    registered_at = models.DateTimeField(null=True)
    credential_id = models.BinaryField(null=True, unique=True, help_text="The authenticator's own name for it.")
    public_key = models.BinaryField(null=True, help_text="COSE key (RFC 9052), as the authenticator wrote it.")
    backup_eligible = models.BooleanField(null=True, help_text="Whether its owner's devices may copy it.")
    sign_count = models.BigIntegerField(null=True, help_text="The authenticator's counter; 0 if it has none.")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-requested_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    registered_at__isnull=True,
                    credential_id__isnull=True,
                    public_key__isnull=True,
                    backup_eligible__isnull=True,
                    sign_count__isnull=True,
                )
                | Q(
                    registered_at__isnull=False,
                    credential_id__isnull=False,
                    public_key__isnull=False,
                    backup_eligible__isnull=False,
                    sign_count__isnull=False,
                ),
                name="passkey_registered_whole",
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
                name="passkey_revoked_by_somebody",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} of {self.user.printed_name}"
