"""Shapes of passkeys and of what they sign."""

from typing import Any

from rest_framework import serializers

from governance import models
from governance.api.serializers import DigestField, StrictSerializer
from governance.enums import Role, Vote
from modelnotary.attest.passkey import AUTHENTICATOR_DATA_MAXIMUM, CLIENT_DATA_MAXIMUM, CREDENTIAL_ID_MAXIMUM
from modelnotary.ledger.errors import TextError
from modelnotary.ledger.text import base64url_bytes, base64url_text


class Base64UrlField(serializers.CharField):
    """Bytes as base64url without padding."""

    def __init__(self, *, most: int, **options: Any) -> None:  # noqa: ANN401 - DRF's own
        super().__init__(max_length=-(-most * 4 // 3), trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> bytes:  # type: ignore[override]  # noqa: ANN401 - a parsed value
        """Decode the text."""
        try:
            return base64url_bytes(super().to_internal_value(data))
        except TextError as error:
            raise serializers.ValidationError(str(error)) from error

    def to_representation(self, value: Any) -> str:  # noqa: ANN401 - whatever the database gives
        """Encode the bytes."""
        return base64url_text(bytes(value))


class PasskeyInput(StrictSerializer):
    name = serializers.CharField(max_length=100, help_text="The device, for instance: blue security key.")


class PasskeyOptionsOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    options = serializers.JSONField(help_text="For `PublicKeyCredential.parseCreationOptionsFromJSON`.")


class PasskeyAnswerInput(StrictSerializer):
    authenticatorData = Base64UrlField(most=AUTHENTICATOR_DATA_MAXIMUM)  # noqa: N815 - the standard's name
    clientDataJSON = Base64UrlField(most=CLIENT_DATA_MAXIMUM)  # noqa: N815 - the standard's name
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)
    code = serializers.CharField(write_only=True, max_length=20, help_text="Of the person's authenticator app.")


class PasskeyRevocationInput(StrictSerializer):
    reason = serializers.CharField(max_length=4000)
    password = serializers.CharField(write_only=True, max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        write_only=True, max_length=20, required=False, default="", help_text="Administrators have none."
    )


class PasskeyOutput(serializers.ModelSerializer[models.Passkey]):
    credential_id = Base64UrlField(most=CREDENTIAL_ID_MAXIMUM, allow_null=True)
    public_key = Base64UrlField(most=128, allow_null=True, help_text="COSE key.")

    class Meta:
        model = models.Passkey
        fields = (
            "id",
            "name",
            "rp_id",
            "credential_id",
            "public_key",
            "backup_eligible",
            "requested_at",
            "registered_at",
            "revoked_at",
        )


class SigningTermsInput(StrictSerializer):
    vote = serializers.ChoiceField(choices=Vote.choices)
    role = serializers.ChoiceField(choices=Role.choices)
    reason = serializers.CharField(max_length=4000)
    evidence_set_digest = DigestField()


class SigningTicketOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    statement = serializers.JSONField(help_text="What is signed; the challenge is the SHA-256 of its canonical JSON.")
    expires_at = serializers.DateTimeField()
    options = serializers.JSONField(help_text="For `PublicKeyCredential.parseRequestOptionsFromJSON`.")


class AssertionInput(StrictSerializer):
    credential_id = Base64UrlField(most=CREDENTIAL_ID_MAXIMUM)
    authenticatorData = Base64UrlField(most=AUTHENTICATOR_DATA_MAXIMUM)  # noqa: N815 - the standard's name
    clientDataJSON = Base64UrlField(most=CLIENT_DATA_MAXIMUM)  # noqa: N815 - the standard's name
    signature = Base64UrlField(most=256)
