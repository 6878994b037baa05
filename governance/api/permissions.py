"""A token may do what its scopes say, and nothing else."""

from typing import TYPE_CHECKING

from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission

from governance.enums import Scope
from governance.models import ApiToken

if TYPE_CHECKING:  # DRF reads this module by name while its own views are still being imported
    from rest_framework.request import Request
    from rest_framework.views import APIView


class InsufficientScope(PermissionDenied):
    """The token lacks a scope, which the message names."""

    default_code = "insufficient-scope"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"this needs a token with the scope {scope.value} ({scope.label.lower()})")
        self.scope = scope


class HasScope(BasePermission):
    """Closed by default: a view without a scope for the method is open to nobody."""

    def has_permission(self, request: "Request", view: "APIView") -> bool:
        """Check the token's scopes against the view's `scopes`, by method."""
        if not isinstance(request.auth, ApiToken):
            raise NotAuthenticated("a bearer token is needed")
        method = str(request.method)
        if not hasattr(view, method.lower()):
            raise MethodNotAllowed(method)
        needed: Scope | None = getattr(view, "scopes", {}).get("GET" if method == "HEAD" else method)
        if needed is None:
            return False
        if needed.value not in request.auth.scopes:
            raise InsufficientScope(needed)
        return True
