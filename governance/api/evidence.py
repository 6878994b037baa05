"""Evidence, and the types it can have."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import evidence_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.enums import Scope
from governance.errors import UnknownRecordError
from governance.evidence.registry import TypeVersion, installed_types
from governance.models import Evidence
from governance.policy.facts import EVIDENCE_FACTS
from governance.selectors import model_version_get
from governance.services.evidence import evidence_deposit


class EvidenceTypesView(GovernedView):
    """The types of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("evidence_types", "List the types of evidence", gives={200: s.EvidenceTypesOutput})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give every type, without its schema."""
        types = [_type_row(item) for item in installed_types().values()]
        return Response(s.EvidenceTypesOutput({"types": types}).data)


class EvidenceTypeView(GovernedView):
    """One type of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("evidence_type_get", "Read a type of evidence", gives={200: s.EvidenceTypeOutput}, problems=(404,))
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """Give the type with the schema of its payload."""
        item = installed_types().get(name)
        if item is None:
            raise UnknownRecordError(f"no evidence type {name}")
        return Response(s.EvidenceTypeOutput(_type_row(item) | {"schema": item.schema.document}).data)


def _type_row(item: TypeVersion) -> dict[str, object]:
    facts = EVIDENCE_FACTS[item.name]
    return {
        "type": item.name,
        "title": item.title,
        "about": item.about,
        "fresh_days": item.fresh_days,
        "schema_version": item.version,
        "facts": [{"name": f"{item.name}.{name}", "type": kind} for name, kind in facts.items()],
    }


class EvidencesView(GovernedView):
    """Depositing evidence."""

    scopes: ClassVar = {"POST": Scope.EVIDENCE_WRITE}

    @operation(
        "evidence_deposit",
        "Deposit a fact about a model version",
        takes=s.EvidenceInput,
        gives={201: s.EvidenceOutput},
        problems=(400, 404, 422),
    )
    def post(self, request: Request) -> Response:
        """Keep a reported fact; the same fact twice is kept once."""
        body = parsed(s.EvidenceInput, request)
        evidence = evidence_deposit(
            producer=self.caller(),
            version=model_version_get(digest=body["subject"]),
            kind=body["type"],
            payload=body["payload"],
            measured=False,
            at=timezone.now(),
        )
        return Response(s.EvidenceOutput(evidence).data, status=status.HTTP_201_CREATED)


class EvidenceView(GovernedView):
    """One piece of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("evidence_get", "Read a piece of evidence", gives={200: s.EvidenceOutput}, problems=(404,))
    def get(self, request: Request, evidence_id: str) -> Response:  # noqa: ARG002
        """Give the fact; the reading is logged."""
        evidence = found(Evidence.objects.select_related("producer"), "evidence", pk=evidence_id)
        self.viewed("evidence", evidence.id, evidence.digest)
        return Response(s.EvidenceOutput(evidence).data)
