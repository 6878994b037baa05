"""Findings: list, open, take further."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import finding_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.enums import FindingKind, FindingState, Scope, Severity, SubjectKind
from governance.models import Finding, User
from governance.selectors.findings import findings_stated
from governance.services.findings import FindingReport, finding_act, finding_open
from governance.services.officers import Officer

_PAGE = 200


class FindingsView(GovernedView):
    """Listing and opening findings."""

    scopes: ClassVar = {"GET": Scope.FINDING_READ, "POST": Scope.FINDING_WRITE}

    @operation(
        "finding_list",
        "List findings, newest first",
        query=s.FindingQuestion,
        gives={200: s.FindingsOutput},
        problems=(400,),
    )
    def get(self, request: Request) -> Response:
        """Give at most 200 of them; `before` continues."""
        asked = parsed(s.FindingQuestion, request)
        before = asked.pop("before", None)
        if "system" in asked:
            asked["system__slug"] = asked.pop("system")
        if before:
            asked["id__lt"] = before
        findings = self.sight.of(findings_stated()).filter(**asked)
        self.viewed("finding", "list")
        people = ("owner", "escalates_to", "opened_by")
        newest = findings.select_related("system", *people).prefetch_related("events__by").order_by("-id")[:_PAGE]
        return Response(s.FindingsOutput({"findings": newest}).data)

    @operation(
        "finding_open",
        "Open a finding",
        takes=s.FindingInput,
        gives={201: s.FindingOutput},
        problems=(400, 404, 422),
    )
    def post(self, request: Request) -> Response:
        """Open it; the person gives the password."""
        body = parsed(s.FindingInput, request)
        officer = Officer(self.caller(), body.pop("password"))
        people = {name: found(User.objects.all(), "account", username=body[name]) for name in ("owner", "escalates_to")}
        kinds = {
            "kind": FindingKind(body["kind"]),
            "severity": Severity(body["severity"]),
            "subject_kind": SubjectKind(body["subject_kind"]),
        }
        finding = finding_open(officer=officer, report=FindingReport(**(body | people | kinds)), at=timezone.now())
        return Response(_told(finding.id), status=status.HTTP_201_CREATED)


class FindingEventsView(GovernedView):
    """Taking a finding further."""

    scopes: ClassVar = {"POST": Scope.FINDING_WRITE}

    @operation(
        "finding_act",
        "Take a finding to its next state",
        takes=s.FindingEventInput,
        gives={201: s.FindingOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, finding_id: str) -> Response:
        """Take it up, remediate it, close it, accept its risk; the person gives the password."""
        self.found(Finding.objects.all(), "finding", pk=finding_id)
        body = parsed(s.FindingEventInput, request)
        finding_act(
            officer=Officer(self.caller(), body["password"]),
            finding_id=finding_id,
            state=FindingState(body["state"]),
            note=body["note"],
            at=timezone.now(),
        )
        return Response(_told(finding_id), status=status.HTTP_201_CREATED)


def _told(finding_id: str) -> Any:  # noqa: ANN401 - a serializer's data
    return s.FindingOutput(findings_stated().get(pk=finding_id)).data
