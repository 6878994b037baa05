"""Exceptions to rules, and overrides of denials: one person asks, another answers."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import exception_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.api.serializers import OverrideOutput
from governance.enums import ExceptionStep, OverrideStep, Scope
from governance.errors import RejectedInputError
from governance.models import AiSystem, Decision, ModelVersion, Override, PolicyException, User
from governance.services.exceptions import ExceptionTerms, exception_answer, exception_request
from governance.services.officers import Officer
from governance.services.overrides import OverrideTerms, override_request, override_step


class ExceptionsView(GovernedView):
    """Asking that a rule need not hold."""

    scopes: ClassVar = {"POST": Scope.GATE_OVERRIDE}

    @operation(
        "exception_request",
        "Ask that a rule need not hold for a time",
        takes=s.ExceptionInput,
        gives={202: s.ExceptionOutput},
        problems=(400, 404, 422),
    )
    def post(self, request: Request) -> Response:
        """Ask; it counts when a model risk officer accepts the risk."""
        body = parsed(s.ExceptionInput, request)
        terms = ExceptionTerms(
            rule=body["rule"],
            subject=self._about(body),
            environment=body["environment"],
            owner=found(User.objects.all(), "account", username=body["owner"]),
            reason=body["reason"],
            risk=body["risk"],
            compensating_control=body["compensating_control"],
            expires_at=body["expires_at"],
        )
        officer = Officer(self.caller(), body["password"])
        exception = exception_request(officer=officer, terms=terms, at=timezone.now())
        return Response(s.ExceptionOutput(exception).data, status=status.HTTP_202_ACCEPTED)

    def _about(self, body: dict[str, Any]) -> ModelVersion | AiSystem:
        if ("digest" in body) == ("system" in body):
            raise RejectedInputError("/digest or /system must say what the exception is about, and not both")
        return self.model_version(body["digest"]) if "digest" in body else self.system(body["system"])


class ExceptionStepsView(GovernedView):
    """Accepting the risk, refusing, withdrawing."""

    scopes: ClassVar = {"POST": Scope.GATE_OVERRIDE}

    @operation(
        "exception_answer",
        "Accept the risk of an exception, refuse, or withdraw",
        takes=s.ExceptionStepInput,
        gives={201: s.ExceptionStepOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, exception_id: str) -> Response:
        """Answer a request of somebody else."""
        self.found(PolicyException.objects.all(), "exception", pk=exception_id)
        body = parsed(s.ExceptionStepInput, request)
        step = exception_answer(
            officer=Officer(self.caller(), body["password"]),
            exception_id=exception_id,
            step=ExceptionStep(body["kind"]),
            reason=body["reason"],
            at=timezone.now(),
        )
        return Response(s.ExceptionStepOutput(step).data, status=status.HTTP_201_CREATED)


class OverridesView(GovernedView):
    """Asking to override a denial."""

    scopes: ClassVar = {"POST": Scope.GATE_OVERRIDE}

    @operation(
        "override_request",
        "Ask to override a denial",
        takes=s.OverrideInput,
        gives={202: OverrideOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, decision_id: str) -> Response:
        """Ask; it counts when another officer approves."""
        self.found(Decision.objects.all(), "decision", pk=decision_id)
        body = parsed(s.OverrideInput, request)
        terms = OverrideTerms(
            reason=body["reason"],
            ticket_url=body["ticket_url"],
            expires_at=body["expires_at"],
            review_owner=found(User.objects.all(), "account", username=body["review_owner"]),
            review_due_at=body["review_due_at"],
        )
        officer = Officer(self.caller(), body["password"])
        override = override_request(officer=officer, decision_id=decision_id, terms=terms, at=timezone.now())
        return Response(OverrideOutput(override).data, status=status.HTTP_202_ACCEPTED)


class OverrideStepsView(GovernedView):
    """Approving, refusing, ending, reviewing."""

    scopes: ClassVar = {"POST": Scope.GATE_OVERRIDE}

    @operation(
        "override_step",
        "Approve an override, refuse it, end it, or review it",
        takes=s.OverrideStepInput,
        gives={201: s.OverrideStepOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, override_id: str) -> Response:
        """Take a step on somebody else's request."""
        self.found(Override.objects.all(), "override", pk=override_id)
        body = parsed(s.OverrideStepInput, request)
        step = override_step(
            officer=Officer(self.caller(), body["password"]),
            override_id=override_id,
            step=OverrideStep(body["kind"]),
            reason=body["reason"],
            at=timezone.now(),
        )
        return Response(s.OverrideStepOutput(step).data, status=status.HTTP_201_CREATED)
