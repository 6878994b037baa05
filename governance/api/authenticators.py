"""Enrolling an authenticator app by API, for who signs by API."""

from typing import ClassVar

from django.conf import settings
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.enums import Scope
from governance.models import Authenticator
from governance.services.authenticator_secrets import secret_open
from governance.services.authenticators import authenticator_confirm, authenticator_request
from governance.services.one_time_codes import enrolment_uri


class AuthenticatorsView(GovernedView):
    """Beginning an enrolment."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "authenticator_request",
        "Make the secret of an authenticator app, which is shown once",
        takes=s.AuthenticatorInput,
        gives={201: s.AuthenticatorSecretOutput},
        problems=(400, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Give the secret to the token's owner, who proves with the password who they are."""
        authenticator = authenticator_request(
            user=self.caller(), at=timezone.now(), **parsed(s.AuthenticatorInput, request)
        )
        secret = secret_open(authenticator)
        uri = enrolment_uri(
            secret, account=self.caller().get_username(), issuer=f"Model Notary {settings.NOTARY_INSTANCE}"
        )
        answer = Response(
            {"id": authenticator.id, "name": authenticator.name, "secret": secret, "uri": uri},
            status=status.HTTP_201_CREATED,
        )
        answer["Cache-Control"] = "no-store"
        return answer


class AuthenticatorConfirmationView(GovernedView):
    """Ending an enrolment with the first code."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    @operation(
        "authenticator_confirm",
        "Give the first code of an authenticator app; from then on it signs",
        takes=s.CodeInput,
        gives={200: s.AuthenticatorOutput},
        problems=(400, 404, 409),
    )
    def post(self, request: Request, authenticator_id: str) -> Response:
        """Enrol it."""
        own = Authenticator.objects.filter(user=self.caller())
        authenticator = authenticator_confirm(
            user=self.caller(),
            authenticator=found(own, "authenticator of yours", pk=authenticator_id),
            code=parsed(s.CodeInput, request)["code"],
            at=timezone.now(),
        )
        return Response(s.AuthenticatorOutput(authenticator).data)
