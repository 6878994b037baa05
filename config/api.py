"""Errors as RFC 9457 problem details, whatever raised them."""

import errno
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.defaults import page_not_found
from psycopg.errors import DiskFull
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from audit.errors import LogFrozenError, NotSequencedError, PrunedError, UnknownEntryError
from governance import errors as governance
from governance.controls.errors import ControlsError, CoverageError, DeclarationError
from governance.evidence.errors import EvidenceRefusedError
from governance.policy.errors import DocumentError
from modelnotary.errors import ModelNotaryError
from modelnotary.formats import UnsafeFormatError
from modelnotary.ids import new_id
from modelnotary.ledger import errors as ledger
from reports.errors import DocumentChangedError

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"

# The first class that fits decides. What is not listed is a fault of ours: 500.
_STATUS: tuple[tuple[type[ModelNotaryError], HTTPStatus], ...] = (
    (governance.UnknownRecordError, HTTPStatus.NOT_FOUND),
    (governance.UnknownArtifactError, HTTPStatus.NOT_FOUND),
    (PrunedError, HTTPStatus.GONE),
    (UnknownEntryError, HTTPStatus.NOT_FOUND),
    (ledger.TileError, HTTPStatus.NOT_FOUND),
    (NotSequencedError, HTTPStatus.CONFLICT),
    (LogFrozenError, HTTPStatus.SERVICE_UNAVAILABLE),
    (governance.ConflictError, HTTPStatus.CONFLICT),
    (governance.GateDeniedError, HTTPStatus.CONFLICT),
    (governance.StaleEvidenceError, HTTPStatus.CONFLICT),
    (governance.SeparationOfDutiesError, HTTPStatus.FORBIDDEN),
    (governance.HumanRequiredError, HTTPStatus.FORBIDDEN),
    (governance.ScopeError, HTTPStatus.FORBIDDEN),
    (governance.ReauthenticationError, HTTPStatus.FORBIDDEN),
    (DocumentChangedError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (DeclarationError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (CoverageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DocumentError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (governance.GovernanceError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UnsafeFormatError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger.CanonicalError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger.DigestError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger.EventError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ledger.TreeError, HTTPStatus.UNPROCESSABLE_ENTITY),
)
_DRF_CODES: tuple[tuple[type[exceptions.APIException], str], ...] = (
    (exceptions.ValidationError, "validation-failed"),
    (exceptions.ParseError, "malformed-json"),
    (exceptions.NotAuthenticated, "not-authenticated"),
    (exceptions.AuthenticationFailed, "token-invalid"),
    (exceptions.NotFound, "not-found"),
    (exceptions.MethodNotAllowed, "method-not-allowed"),
    (exceptions.UnsupportedMediaType, "unsupported-media-type"),
    (exceptions.NotAcceptable, "not-acceptable"),
    (exceptions.Throttled, "quota-exceeded"),
)


def problem_response(error: Exception, context: dict[str, Any]) -> Response:
    """Give the problem document for an exception of a view: DRF's EXCEPTION_HANDLER."""
    set_rollback()
    request = context["request"]._request  # noqa: SLF001 - DRF keeps Django's request there
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, DjangoPermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, ModelNotaryError) and (status := _own_status(error)):
        return _answer(status, _own_problem(request, error, status))
    if isinstance(error, exceptions.APIException):
        response = _answer(error.status_code, _drf_problem(request, error))
        if header := getattr(error, "auth_header", None):
            response["WWW-Authenticate"] = header
        return response
    return _answer(*_unexpected(request, error))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a request that is not understood before any view sees it, for instance for a foreign host name."""
    body = _problem(request, HTTPStatus.BAD_REQUEST, "bad-request", f"not understood: {type(exception).__name__}")
    return JsonResponse(body, status=HTTPStatus.BAD_REQUEST, content_type=PROBLEM_JSON)


class FrozenLogMiddleware:
    """Says in words, wherever it is met outside the API's own views, that a log takes no events."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer 503: to people in the admin with a page, else with a problem document."""
        if not isinstance(exception, LogFrozenError):
            return None
        status = HTTPStatus.SERVICE_UNAVAILABLE
        if request.path.startswith("/admin/"):
            return render(request, "governance/admin/frozen.html", {"words": str(exception)}, status=status)
        body = _problem(request, status, exception.code, str(exception))
        return JsonResponse(body, status=status, content_type=PROBLEM_JSON)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for an address that nothing serves: a page to people in the admin, else a problem document."""
    if request.path.startswith("/admin/"):
        return page_not_found(request, exception)
    body = _problem(request, HTTPStatus.NOT_FOUND, "not-found", f"nothing is served at {request.path}")
    return JsonResponse(body, status=HTTPStatus.NOT_FOUND, content_type=PROBLEM_JSON)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for a fault outside the API's own views."""
    body = _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "a fault of the server; see its log")
    return JsonResponse(body, status=HTTPStatus.INTERNAL_SERVER_ERROR, content_type=PROBLEM_JSON)


def _answer(status: int, body: dict[str, Any]) -> Response:
    return Response(body, status=status, content_type=PROBLEM_JSON)


def _own_status(error: ModelNotaryError) -> HTTPStatus | None:
    """Give the status of what a caller can mend; None for a fault of ours, such as a key that cannot be read."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), None)


def _own_problem(request: HttpRequest, error: ModelNotaryError, status: HTTPStatus) -> dict[str, Any]:
    body = _problem(request, status, error.code, str(error))
    if isinstance(error, DocumentError):
        body["errors"] = [
            {
                "pointer": item.pointer,
                "code": error.code,
                "detail": item.message,
                "line": item.line,
                "column": item.column,
                "excerpt": item.excerpt,
            }
            for item in error.diagnostics
        ]
    if isinstance(error, EvidenceRefusedError):
        body["errors"] = [
            {"pointer": fault.pointer, "code": error.code, "detail": fault.message} for fault in error.faults
        ]
    if isinstance(error, ControlsError):
        body["errors"] = [
            {"pointer": fault.place, "code": error.code, "detail": fault.message} for fault in error.faults
        ]
    return body


def _drf_problem(request: HttpRequest, error: exceptions.APIException) -> dict[str, Any]:
    named = next((code for kind, code in _DRF_CODES if isinstance(error, kind)), error.default_code)
    code = named.replace("_", "-")
    if not isinstance(error, exceptions.ValidationError):
        return _problem(request, error.status_code, code, str(error.detail))
    faults = list(_faults(error.detail, ""))
    words = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in faults)
    return _problem(request, error.status_code, code, words) | {"errors": faults}


def _faults(detail: Any, pointer: str) -> list[dict[str, str]]:  # noqa: ANN401 - DRF's nested details
    """Flatten DRF's nested details into one fault a line, each with the JSON pointer of its place."""
    if isinstance(detail, dict):
        return [fault for key, value in detail.items() for fault in _faults(value, _below(pointer, str(key)))]
    if isinstance(detail, list):
        nested = any(isinstance(item, (dict, list)) for item in detail)
        below = [f"{pointer}/{index}" if nested else pointer for index in range(len(detail))]
        return [fault for item, place in zip(detail, below, strict=True) for fault in _faults(item, place)]
    return [{"pointer": pointer or "/", "code": str(getattr(detail, "code", "invalid")), "detail": str(detail)}]


def _below(pointer: str, key: str) -> str:
    if key == "non_field_errors":
        return pointer
    escaped = key.replace("~", "~0").replace("/", "~1")  # RFC 6901
    return f"{pointer}/{escaped}"


def _unexpected(request: HttpRequest, error: Exception) -> tuple[HTTPStatus, dict[str, Any]]:
    """Tell an outage, after which the same request may succeed, from a fault of ours."""
    if _is_storage_full(error):
        status, code, words = HTTPStatus.INSUFFICIENT_STORAGE, "storage-full", "the server has no space left"
    elif isinstance(error, OperationalError):
        status, code, words = HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", "the database does not answer"
    else:
        status, code, words = HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "a fault of the server; see its log"
    body = _problem(request, status, code, words)
    logger.error("%s, trace %s", code, body["trace_id"], exc_info=error)
    return status, body


def _is_storage_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, OperationalError) and isinstance(error.__cause__, DiskFull)


def _problem(request: HttpRequest, status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"{settings.PUBLIC_URL}/problems/{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": int(status),
        "code": code,
        "detail": detail,
        "instance": request.path,
        "trace_id": new_id("trc"),
    }
