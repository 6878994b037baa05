"""Fields that a browser's authenticator fills in: bytes as base64url, with the names of the standard."""

from django import forms
from django.core.exceptions import ValidationError

from modelnotary.attest.passkey import AUTHENTICATOR_DATA_MAXIMUM, CLIENT_DATA_MAXIMUM, CREDENTIAL_ID_MAXIMUM, Assertion
from modelnotary.ledger.errors import TextError
from modelnotary.ledger.text import base64url_bytes

_SIGNATURE_MAXIMUM = 256


class AnswerField(forms.CharField):
    """A part of an authenticator's answer."""

    def __init__(self, most: int) -> None:
        super().__init__(
            max_length=-(-most * 4 // 3),
            strip=False,
            widget=forms.HiddenInput({"data-from-passkey": "yes"}),
            error_messages={"required": "The passkey gave no answer."},
        )

    def clean(self, value: object) -> bytes:
        """Decode it."""
        try:
            return base64url_bytes(super().clean(value))
        except TextError as error:
            raise ValidationError(str(error)) from error


class RegistrationAnswer(forms.Form):
    """The answer to a request for a new passkey."""

    authenticatorData = AnswerField(AUTHENTICATOR_DATA_MAXIMUM)  # noqa: N815 - the standard's name
    clientDataJSON = AnswerField(CLIENT_DATA_MAXIMUM)  # noqa: N815 - the standard's name


class AssertionAnswer(RegistrationAnswer):
    """The answer to a request to sign."""

    signature = AnswerField(_SIGNATURE_MAXIMUM)
    credential_id = AnswerField(CREDENTIAL_ID_MAXIMUM)

    @property
    def assertion(self) -> Assertion:
        """What was signed, and the signature."""
        sent = self.cleaned_data
        return Assertion(sent["authenticatorData"], sent["clientDataJSON"], sent["signature"])
