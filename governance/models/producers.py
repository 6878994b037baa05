"""Keys of evidence producers, registered by two people, and the signed statements that evidence came as."""

from datetime import datetime
from functools import partial

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.models.evidence import Evidence
from governance.models.inventory import DIGEST_LENGTH
from modelnotary.attest.producer import ProducerKey as PublicKey
from modelnotary.ids import new_id


class ProducerKey(models.Model):
    """A public key by which evidence is signed, and for whom. Insert-only; it counts once another person confirmed it.

    Whoever holds it answers for what it signs: a service account, or the person who answers for an external assessor.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pky"), editable=False)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="producer_keys")
    assessor = models.CharField(max_length=200, blank=True, help_text="The external assessor whose key it is.")
    fingerprint = models.CharField(max_length=DIGEST_LENGTH, help_text="SHA-256 of the public key.")
    public_key = models.BinaryField(help_text="SubjectPublicKeyInfo, DER.")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    reason = models.TextField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        ordering = ("-proposed_at",)
        constraints = (
            models.CheckConstraint(condition=Q(valid_until__gt=F("valid_from")), name="producer_key_has_a_window"),
        )

    def __str__(self) -> str:
        return f"Key of {self.whose}"

    @property
    def whose(self) -> str:
        """Who signs with it, in words."""
        return self.assessor or self.holder.printed_name

    @property
    def public(self) -> PublicKey:
        """The key itself."""
        return PublicKey.from_spki(bytes(self.public_key))

    def standing(self, at: datetime) -> str:
        """Say what it is worth at a moment: proposed, in_force, not_yet, expired or revoked."""
        if getattr(self, "revocation", None):
            return "revoked"
        if not hasattr(self, "confirmation"):
            return "proposed"
        if at < self.valid_from:
            return "not_yet"
        return "in_force" if at < self.valid_until else "expired"


class ProducerKeyConfirmation(models.Model):
    """A second person's confirmation of a key: from then on it signs. Insert-only; one key belongs to one holder."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pkc"), editable=False)
    key = models.OneToOneField(ProducerKey, on_delete=models.PROTECT, related_name="confirmation")
    fingerprint = models.CharField(max_length=DIGEST_LENGTH, unique=True)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Confirmation of {self.fingerprint}"


class ProducerKeyRevocation(models.Model):
    """The end of a key, and from when on what it signed is not trusted. Insert-only, one for each key."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "pkr"), editable=False)
    key = models.OneToOneField(ProducerKey, on_delete=models.PROTECT, related_name="revocation")
    distrusted_from = models.DateTimeField(help_text="Evidence received from then on satisfies nothing.")
    reason = models.TextField()
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(distrusted_from__lte=F("revoked_at")), name="producer_key_distrusted_by_its_revocation"
            ),
        )

    def __str__(self) -> str:
        return f"Revocation of {self.key_id}"


class SignedStatement(models.Model):
    """The envelope that a piece of evidence came in, byte for byte. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "sst"), editable=False)
    evidence = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="statement")
    key = models.ForeignKey(ProducerKey, on_delete=models.PROTECT, related_name="statements")
    envelope = models.BinaryField(help_text="DSSE, exactly as received.")
    envelope_digest = models.CharField(max_length=DIGEST_LENGTH, unique=True)
    payload_digest = models.CharField(max_length=DIGEST_LENGTH, help_text="Of what was signed.")
    unknown_keys = ArrayField(models.CharField(max_length=200), default=list, help_text="Named by other signatures.")
    received_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("key", "payload_digest"), name="statement_once"),)

    def __str__(self) -> str:
        return f"Statement of {self.evidence_id}"

    @property
    def distrust(self) -> str:
        """Why it satisfies nothing any more, in words; empty while its key was trusted when it was received."""
        revocation: ProducerKeyRevocation | None = getattr(self.key, "revocation", None)
        if revocation is None or self.received_at < revocation.distrusted_from:
            return ""
        since = f"{revocation.distrusted_from:%Y-%m-%d %H:%M:%S} UTC"
        return f"signed by key {self.key.fingerprint}, which is not trusted from {since}: {revocation.reason}"
