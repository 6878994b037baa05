"""What every view of the API has in common."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, cast

from django.db.models import Model as DjangoModel
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from audit.enums import AccessEvent
from governance.api.serializers import ProblemOutput
from governance.enums import Scope
from governance.errors import UnknownRecordError
from governance.models import AiSystem, ApiToken, ModelVersion, User
from governance.selectors import model_version_get, system_get
from governance.selectors.scope import Sight, sight_of
from governance.services.accesses import access_record
from modelnotary.ledger.digest import Digest

PROBLEM = OpenApiResponse(ProblemOutput, description="RFC 9457 problem details")


class GovernedView(APIView):
    """A view whose methods each name the scope they need."""

    scopes: ClassVar[dict[str, Scope]] = {}

    def caller(self) -> User:
        """Give the authenticated user."""
        return cast("User", self.request.user)

    def token(self) -> ApiToken:
        """Give the token presented."""
        return cast("ApiToken", self.request.auth)

    @cached_property
    def sight(self) -> Sight:
        """Give what the caller sees."""
        return sight_of(actor=self.caller(), at=timezone.now())

    def found[Record: DjangoModel](self, records: QuerySet[Record], what: str, **lookup: Any) -> Record:  # noqa: ANN401
        """Give the one record that fits, if the caller sees it.

        Raises:
            UnknownRecordError: There is none, or it belongs to a business unit that the caller does not see.
        """
        return found(self.sight.of(records), what, **lookup)

    def model_version(self, digest: Digest) -> ModelVersion:
        """Give the model version of these bytes, if the caller sees it.

        Raises:
            UnknownArtifactError: There is none, or it belongs to a business unit that the caller does not see.
        """
        return model_version_get(digest=digest, seen_by=self.sight)

    def system(self, name: str) -> AiSystem:
        """Give the system of this id or short name, if the caller sees it.

        Raises:
            UnknownRecordError: There is none, or it belongs to a business unit that the caller does not see.
        """
        return system_get(name=name, seen_by=self.sight)

    def viewed(self, kind: str, identity: str, digest: str | None = None) -> None:
        """Write to the access log that the caller reads a governed record, before it is shown."""
        access_record(
            actor=self.caller(),
            event=AccessEvent.RECORD_VIEWED,
            kind=kind,
            identity=identity,
            digest=Digest.from_text(digest) if digest else None,
            data={"door": "api"},
            at=timezone.now(),
        )


def parsed(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """Give the validated body, or the validated query for GET."""
    instance = serializer(data=request.query_params.dict() if request.method in SAFE_METHODS else request.data)
    instance.is_valid(raise_exception=True)
    return cast("dict[str, Any]", instance.validated_data)


def found[Record: DjangoModel](records: QuerySet[Record], what: str, **lookup: Any) -> Record:  # noqa: ANN401
    """Give the one record that fits.

    Raises:
        UnknownRecordError: There is none.
    """
    record = records.filter(**lookup).first()
    if record is None:
        raise UnknownRecordError(f"no {what} {next(iter(lookup.values()))}")
    return record


def operation[Method: Callable[..., HttpResponseBase]](
    name: str,
    summary: str,
    *,
    takes: Any = None,  # noqa: ANN401 - a serializer class or OpenAPI type
    query: Any = None,  # noqa: ANN401
    gives: dict[Any, Any],
    problems: tuple[int, ...] = (),
) -> Callable[[Method], Method]:
    """Describe an operation for the OpenAPI document; every one may answer 401 and 403 too."""
    describe: Callable[[Method], Method] = extend_schema(
        operation_id=name,
        summary=summary,
        request=takes,
        parameters=[query] if query else None,
        responses=gives | {(code, "application/problem+json"): PROBLEM for code in (401, 403, *problems)},
    )
    return describe
