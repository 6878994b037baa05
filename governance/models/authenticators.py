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
