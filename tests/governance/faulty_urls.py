"""The product's addresses and one view with a fault in it."""

from typing import ClassVar

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from audit.errors import CorruptLogError
from config.urls import handler400, handler404, handler500, urlpatterns
from governance.api.base import GovernedView
from governance.enums import Scope

SECRET = "a password in a variable"

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]


class FaultyView(GovernedView):
    scopes: ClassVar = {"GET": Scope.GATE_READ, "POST": Scope.GATE_READ}

    def get(self, _request: Request) -> Response:
        raise ZeroDivisionError(SECRET)

    def post(self, _request: Request) -> Response:
        raise CorruptLogError(SECRET)


urlpatterns = [*urlpatterns, path("api/v1/faulty", FaultyView.as_view())]
