"""Decisions, signatures, deployments: what the gate is made of."""

from typing import ClassVar

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audit.enums import AccessEvent
from governance.api import serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.enums import DecisionState, Role, Scope, Vote
from governance.errors import ConflictError
from governance.models import ApprovalRequest, Decision
from governance.selectors.gate import gate_assert
from governance.services.accesses import access_record
from governance.services.approvals import approval_sign
from governance.services.decisions import decision_evaluate
from governance.services.deployments import deployment_record
from governance.services.proofs import PasswordAndCode
from governance.services.statements import SigningIntent


class DecisionsView(GovernedView):
    """Requesting decisions."""

    scopes: ClassVar = {"POST": Scope.GATE_EVALUATE}

    @operation(
        "decision_request",
        "Decide whether an artifact may go to an environment",
        takes=s.GateQuestion,
        gives={201: s.DecisionOutput, 202: s.DecisionOutput},
        problems=(400, 404),
    )
    def post(self, request: Request) -> Response:
        """Give a final decision (201), or one that waits for signatures (202)."""
        decision = decision_evaluate(actor=self.caller(), at=timezone.now(), **parsed(s.GateQuestion, request))
        waiting = decision.state == DecisionState.PENDING
        code = status.HTTP_202_ACCEPTED if waiting else status.HTTP_201_CREATED
        response = Response(s.DecisionOutput(decision).data, status=code)
        response["Location"] = request.build_absolute_uri(f"/api/v1/decisions/{decision.id}")
        if waiting:
            response["Retry-After"] = "30"
        return response


class DecisionView(GovernedView):
    """One decision."""

    scopes: ClassVar = {"GET": Scope.GATE_READ}

    @operation("decision_get", "Read a decision", gives={200: s.DecisionOutput}, problems=(404,))
    def get(self, request: Request, decision_id: str) -> Response:  # noqa: ARG002
        """Give the decision; the reading is logged."""
        decision = self.found(Decision.objects.select_related("model_version__model"), "decision", pk=decision_id)
        self.viewed("decision", decision.id, decision.model_version.digest)
        return Response(s.DecisionOutput(decision).data)


class AttestationView(GovernedView):
    """The signed form of a decision."""

    scopes: ClassVar = {"GET": Scope.GATE_READ}

    @operation(
        "decision_attestation",
        "Download a decision's signed attestation",
        gives={(200, "application/vnd.dsse.envelope.v1+json"): OpenApiTypes.BINARY},
        problems=(404, 409),
    )
    def get(self, request: Request, decision_id: str) -> HttpResponse:  # noqa: ARG002
        """Give the DSSE envelope exactly as issued."""
        decision = self.found(Decision.objects.select_related("model_version"), "decision", pk=decision_id)
        if decision.attestation is None:
            raise ConflictError(f"{decision.id} is not decided yet; it waits for signatures")
        self.viewed("decision", decision.id, decision.model_version.digest)
        return HttpResponse(bytes(decision.attestation), content_type="application/vnd.dsse.envelope.v1+json")


class AssertsView(GovernedView):
    """The question that a pipeline asks."""

    scopes: ClassVar = {"GET": Scope.GATE_READ}

    @operation(
        "gate_assert",
        "Ask whether an artifact may go to an environment",
        query=s.GateQuestion,
        gives={200: s.AssertionOutput},
        problems=(400, 404),
    )
    def get(self, request: Request) -> Response:
        """Answer `allowed: true` or `allowed: false` with the reason; anything but 200 is not an answer."""
        now = timezone.now()
        question = parsed(s.GateQuestion, request)
        answer = gate_assert(at=now, seen_by=self.sight, **question)
        access_record(
            actor=self.caller(),
            event=AccessEvent.GATE_ASSERTED,
            kind="decision",
            identity=answer.decision.id if answer.decision else "none",
            digest=question["digest"],
            data={"environment": question["environment"], "allowed": answer.allowed, "reason": answer.reason_code}
            | ({"override": answer.override.id} if answer.override else {}),
            at=now,
        )
        response = Response(s.AssertionOutput(answer).data)
        response["Cache-Control"] = "no-store"
        return response


class ApprovalRequestView(GovernedView):
    """What waits for signatures."""

    scopes: ClassVar = {"GET": Scope.GATE_READ}

    @operation(
        "approval_request_get", "Read an approval request", gives={200: s.ApprovalRequestOutput}, problems=(404,)
    )
    def get(self, request: Request, request_id: str) -> Response:  # noqa: ARG002
        """Give the request with its decision and signatures; the reading is logged."""
        approval = self.found(ApprovalRequest.objects.select_related("decision"), "approval request", pk=request_id)
        self.viewed("approval_request", approval.id)
        return Response(s.ApprovalRequestOutput(approval).data)


class VotesView(GovernedView):
    """Signing."""

    scopes: ClassVar = {"POST": Scope.APPROVAL_VOTE}

    def check_permissions(self, request: Request) -> None:
        """Leave a service account, which can never have the scope, to the service: it refuses and records that."""
        if not getattr(request.user, "is_service", False):
            super().check_permissions(request)

    @operation(
        "approval_sign",
        "Sign or refuse a decision",
        takes=s.VoteInput,
        gives={201: s.SignatureOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, request_id: str) -> Response:
        """Sign with the password and a one-time code, both given afresh."""
        self.found(ApprovalRequest.objects.all(), "approval request", pk=request_id)
        body = parsed(s.VoteInput, request)
        intent = SigningIntent(
            vote=Vote(body["vote"]),
            role=Role(body["role"]),
            reason=body["reason"],
            evidence_set_digest=body["evidence_set_digest"].text,
            proof=PasswordAndCode(body["password"], body["code"]),
        )
        signature = approval_sign(signer=self.caller(), request_id=request_id, intent=intent, at=timezone.now())
        return Response(s.SignatureOutput(signature).data, status=status.HTTP_201_CREATED)


class DeploymentsView(GovernedView):
    """Recording deployments."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "deployment_record",
        "Record that an artifact was put to use",
        takes=s.GateQuestion,
        gives={201: s.DeploymentOutput},
        problems=(400, 404, 409),
    )
    def post(self, request: Request) -> Response:
        """Record it, if the gate allows it."""
        deployment = deployment_record(actor=self.caller(), at=timezone.now(), **parsed(s.GateQuestion, request))
        return Response(s.DeploymentOutput(deployment).data, status=status.HTTP_201_CREATED)
