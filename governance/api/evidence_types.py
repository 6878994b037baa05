"""The types of evidence: those that the product comes with, and the installation's own."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import evidence_type_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.enums import Scope
from governance.errors import UnknownRecordError
from governance.evidence.own_types import Definition
from governance.evidence.registry import About, TypeVersion
from governance.models import EvidenceTypeDraft
from governance.policy.facts import schema_facts
from governance.selectors.evidence_types import types_known, types_retired
from governance.services.evidence_types import evidence_type_draft, evidence_type_publish, evidence_type_retire
from governance.services.officers import Officer


class EvidenceTypesView(GovernedView):
    """The types of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("evidence_types", "List the types of evidence", gives={200: s.EvidenceTypesOutput})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give every type, without its schema."""
        retired = types_retired()
        types = [_row(item, taken=item.name not in retired) for item in types_known().values()]
        return Response(s.EvidenceTypesOutput({"types": types}).data)


class EvidenceTypeView(GovernedView):
    """One type of evidence."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("evidence_type_get", "Read a type of evidence", gives={200: s.EvidenceTypeOutput}, problems=(404,))
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """Give the type with the schema of its payload."""
        item = types_known().get(name)
        if item is None:
            raise UnknownRecordError(f"no evidence type {name}")
        row = _row(item, taken=name not in types_retired()) | {"schema": item.schema.document}
        return Response(s.EvidenceTypeOutput(row).data)


def _row(item: TypeVersion, *, taken: bool) -> dict[str, object]:
    facts = schema_facts(item.fields)
    return {
        "type": item.name,
        "title": item.title,
        "about": item.about,
        "fresh_days": item.fresh_days,
        "schema_version": item.version,
        "taken": taken,
        "facts": [{"name": f"{item.name}.{name}", "type": kind} for name, kind in facts.items()],
    }


class EvidenceTypeDraftsView(GovernedView):
    """Drafting types of one's own."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "evidence_type_draft",
        "Draft a type of evidence, or its next version, for another officer to publish",
        takes=s.EvidenceTypeInput,
        gives={201: s.EvidenceTypeDraftOutput},
        problems=(400, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Check it and keep it; nothing of the type is taken before it is published."""
        body = parsed(s.EvidenceTypeInput, request)
        officer = Officer(self.caller(), body.pop("password"))
        definition = Definition(about=About(body.pop("about")), **body)
        draft = evidence_type_draft(officer=officer, definition=definition, at=timezone.now())
        return Response(s.EvidenceTypeDraftOutput(draft).data, status=status.HTTP_201_CREATED)


class EvidenceTypePublicationView(GovernedView):
    """Publishing what another officer drafted."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "evidence_type_publish",
        "Publish a type of evidence that another officer drafted",
        takes=s.EvidenceTypeStepInput,
        gives={201: s.EvidenceTypeVersionOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, draft_id: str) -> Response:
        """Publish it for good, with the password given afresh."""
        officer = Officer(self.caller(), parsed(s.EvidenceTypeStepInput, request)["password"])
        drafts = EvidenceTypeDraft.objects.select_related("drafted_by")
        draft = found(drafts, "draft of an evidence type", pk=draft_id)
        version = evidence_type_publish(officer=officer, draft=draft, at=timezone.now())
        return Response(s.EvidenceTypeVersionOutput(version).data, status=status.HTTP_201_CREATED)


class EvidenceTypeRetirementView(GovernedView):
    """Taking nothing of a type any more."""

    scopes: ClassVar = {"POST": Scope.POLICY_PUBLISH}

    @operation(
        "evidence_type_retire",
        "Take no more evidence of a type of one's own",
        takes=s.EvidenceTypeRetirementInput,
        gives={201: s.EvidenceTypeRetirementOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, name: str) -> Response:
        """Retire it for good; what was deposited goes on counting."""
        body = parsed(s.EvidenceTypeRetirementInput, request)
        officer = Officer(self.caller(), body["password"])
        retirement = evidence_type_retire(officer=officer, name=name, reason=body["reason"], at=timezone.now())
        return Response(s.EvidenceTypeRetirementOutput(retirement).data, status=status.HTTP_201_CREATED)
