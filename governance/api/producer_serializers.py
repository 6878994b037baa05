"""What the API takes and gives about keys of evidence producers and what they signed."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from governance import models
from governance.api.serializers import StrictSerializer
from modelnotary.attest.producer import MAX_KEY_TEXT


class AttestationInput(StrictSerializer):
    envelope = serializers.CharField(
        trim_whitespace=False,
        help_text="DSSE envelope, as text, byte for byte as it was signed: payload type "
        "`application/vnd.in-toto+json`, an in-toto Statement v1 about one registered digest.",
    )
    supersedes = serializers.CharField(required=False, max_length=40, help_text="Id of what it takes the place of.")
    reason = serializers.CharField(required=False, max_length=4000, help_text="Why it does.")


class ProducerKeyInput(StrictSerializer):
    holder = serializers.CharField(max_length=150, help_text="Username of who answers for what the key signs.")
    assessor = serializers.CharField(
        required=False, max_length=200, help_text="Name of the external assessor; none for a service account."
    )
    public_key = serializers.CharField(
        max_length=MAX_KEY_TEXT, help_text="PEM, SubjectPublicKeyInfo: Ed25519 or ECDSA P-256."
    )
    valid_from = serializers.DateTimeField()
    valid_until = serializers.DateTimeField()
    reason = serializers.CharField(max_length=4000)
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class KeyConfirmationInput(StrictSerializer):
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class KeyRevocationInput(StrictSerializer):
    reason = serializers.CharField(max_length=4000)
    distrusted_from = serializers.DateTimeField(
        required=False, help_text="From when on what it signed is not trusted; left out: now."
    )
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)


class ProducerKeyOutput(serializers.ModelSerializer[models.ProducerKey]):
    holder = serializers.CharField(source="holder.username")
    public_key = serializers.CharField(source="public.pem")
    algorithm = serializers.CharField(source="public.algorithm")
    standing = serializers.SerializerMethodField()
    proposed_by = serializers.CharField(source="proposed_by.printed_name")
    confirmed_by = serializers.CharField(source="confirmation.confirmed_by.printed_name", default=None, allow_null=True)
    revoked_at = serializers.DateTimeField(source="revocation.revoked_at", default=None, allow_null=True)
    distrusted_from = serializers.DateTimeField(source="revocation.distrusted_from", default=None, allow_null=True)

    class Meta:
        model = models.ProducerKey
        fields = (
            "id",
            "holder",
            "assessor",
            "fingerprint",
            "algorithm",
            "public_key",
            "standing",
            "valid_from",
            "valid_until",
            "reason",
            "proposed_by",
            "proposed_at",
            "confirmed_by",
            "revoked_at",
            "distrusted_from",
        )

    def get_standing(self, key: models.ProducerKey) -> str:
        """What the key is worth now: proposed, in_force, not_yet, expired or revoked."""
        return key.standing(timezone.now())


class ProducerKeysOutput(serializers.Serializer[Any]):
    keys = ProducerKeyOutput(many=True)
