"""Bearer tokens."""

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from governance.errors import TokenError
from governance.models import ApiToken, User
from governance.services.people import token_authenticate


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer mn_…`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Give the token's user and the token; None when no bearer token is presented."""
        scheme, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            token = token_authenticate(text=text.strip(), at=timezone.now())
        except TokenError as error:
            raise AuthenticationFailed(str(error)) from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the base class's signature
        """Say how to authenticate."""
        return 'Bearer realm="modelnotary"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's metaclass is untyped
    """How the OpenAPI document describes the tokens."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002
        """Give the security scheme."""
        return {"type": "http", "scheme": "bearer"}
