"""The installation's own types of evidence: what they are, and the steps by which officers make and end them."""

import json
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, record_address, strong, whole
from governance.admin.ledger import ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table, Text
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.errors import RejectedInputError
from governance.evidence.own_types import Definition, own_type
from governance.evidence.registry import About
from governance.models import EvidenceTypeDraft, EvidenceTypeRetirement, EvidenceTypeVersion, User
from governance.models.evidence import ABOUT
from governance.policy.facts import schema_facts
from governance.services.evidence_types import (
    KEEPERS,
    evidence_type_draft,
    evidence_type_publish,
    evidence_type_retire,
    publishing_hindrance,
)
from governance.services.officers import Officer
from governance.services.steps import REASON_MINIMUM, step_hindrance
from modelnotary.ledger.canonical import parse_json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import CanonicalError
from modelnotary.ledger.event import Subject

_STEP = ("GET", "HEAD", "POST")


class DraftForm(forms.Form):
    """What the type is to be."""

    name = forms.CharField(
        max_length=40,
        help_text="x_, then lowercase letters, digits and underscores. That of a type that there is: its next version.",
        widget=UnfoldAdminTextInputWidget,
    )
    title = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    description = forms.CharField(max_length=2000, widget=UnfoldAdminTextareaWidget({"rows": 3}))
    about = forms.ChoiceField(choices=ABOUT, label="Evidence of it is about a", widget=UnfoldAdminSelectWidget)
    fresh_days = forms.IntegerField(label="Days for which it counts", widget=UnfoldAdminTextInputWidget)
    schema = forms.CharField(
        label="JSON Schema of the payload",
        help_text="Closed and bounded: objects with additionalProperties false, numbers with minimum and maximum.",
        widget=UnfoldAdminTextareaWidget({"rows": 16}),
    )
    password = password_field("draft")


class PublishForm(forms.Form):
    """Proof of who publishes."""

    password = password_field("publication")


class RetireForm(forms.Form):
    """Why nothing of a type is taken any more."""

    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("step")


@admin.register(EvidenceTypeVersion)
class EvidenceTypeVersionAdmin(GovernedAdmin[EvidenceTypeVersion]):
    """Types of evidence that this installation made, in all their versions."""

    kinds = ("evidence_type_version",)
    deferred = ("document",)
    list_display = ("__str__", person_column("published_by"), moment_column("published_at"))
    list_select_related = ("published_by",)
    search_fields = ("id__exact", "name__startswith")

    def subject(self, record: EvidenceTypeVersion) -> Subject:
        """Name it with its digest."""
        return Subject("evidence_type_version", record.id, Digest.from_text(record.digest))

    def addresses(self) -> tuple[Address, ...]:
        """Give the page on which the type is retired."""
        return (Address("retire", self._retire, _STEP),)

    def page(self, request: HttpRequest, record: EvidenceTypeVersion) -> Page:
        """Show what it is, and whether evidence of it is taken."""
        retirement = _retirement(record)
        hindrance = _retiring_hindrance(request, record)
        retire = Action(
            words="Retire the type", address=record_address(record, "retire"), symbol="archive", tone="danger"
        )
        return Page(
            heading=str(record),
            badge=badge("withdrawn", "retired") if retirement else badge("published", "taken"),
            notices=(Notice(words=f"Nothing of it is taken any more: {retirement.reason}"),) if retirement else (),
            actions=() if hindrance else (retire,),
            sections=(
                *_sections(bytes(record.document)),
                Facts(
                    title="Publication",
                    rows=(
                        ("Id", code(record.id)),
                        ("Digest", whole(record.digest)),
                        ("Draft", link(record.draft)),
                        ("Published by", link(record.published_by, record.published_by.printed_name)),
                        ("Published", moment(record.published_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )

    def _retire(self, request: HttpRequest, record: EvidenceTypeVersion) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=record,
            kind="Retire a type of evidence",
            heading=record.name,
            lead="No evidence of it is taken any more, for good. What was deposited goes on counting.",
            title="Your step",
            states=(("Printed name", user.printed_name),),
            submit="Retire",
            tone="danger",
            undone="Not done.",
            decline="Leave it as it is",
            back=record_address(record),
            back_words="Back to the type",
            hindrance=_retiring_hindrance(request, record),
        )

        def act(form: RetireForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            officer = Officer(user, sent["password"])
            evidence_type_retire(officer=officer, name=record.name, reason=sent["reason"], at=timezone.now())
            messages.success(request, "Retired.")
            return HttpResponseRedirect(record_address(record))

        return signed_page(self, request, page, RetireForm(request.POST or None), act)


@admin.register(EvidenceTypeDraft)
class EvidenceTypeDraftAdmin(GovernedAdmin[EvidenceTypeDraft]):
    """Types as officers propose them."""

    kinds = ("evidence_type_draft", "evidence_type")
    deferred = ("document",)
    list_display = ("__str__", "state", person_column("drafted_by"), moment_column("drafted_at"))
    list_select_related = ("drafted_by", "version")
    search_fields = ("id__exact", "name__startswith")

    @admin.display(description="state")
    def state(self, draft: EvidenceTypeDraft) -> Cell:
        """Show whether it was published."""
        return _state(draft)

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to draft a type to who can."""
        lead = "A type of evidence of your own: another officer publishes it, and policies may name it from then on."
        if step_hindrance(user=cast("User", request.user), roles=KEEPERS):
            return ListHead(lead=lead)
        address = reverse("admin:governance_evidencetypedraft_draft")
        action = Action(words="Draft a type", address=address, symbol="edit_document", tone="main")
        return ListHead(lead=lead, actions=(action,))

    def list_addresses(self) -> tuple[Address, ...]:
        """Give the page on which a type is drafted."""
        return (Address("draft", self._draft, _STEP),)

    def addresses(self) -> tuple[Address, ...]:
        """Give the page on which a draft is published."""
        return (Address("publish", self._publish, _STEP),)

    def page(self, request: HttpRequest, record: EvidenceTypeDraft) -> Page:
        """Show what is proposed, and what can be done with it."""
        opened = not hasattr(record, "version")
        hindrance = publishing_hindrance(user=cast("User", request.user), draft=record) if opened else None
        publish = Action(words="Publish", address=record_address(record, "publish"), symbol="publish", tone="main")
        return Page(
            heading=str(record),
            badge=_state(record),
            notices=(Notice(words=f"You cannot publish it: {hindrance}."),) if hindrance else (),
            actions=(publish,) if opened and not hindrance else (),
            sections=(
                *_sections(bytes(record.document)),
                Facts(
                    title="Draft",
                    rows=(
                        ("Id", code(record.id)),
                        ("Digest", whole(record.digest)),
                        ("Drafted by", link(record.drafted_by, record.drafted_by.printed_name)),
                        ("Drafted", moment(record.drafted_at)),
                        ("Published as", link(getattr(record, "version", None))),
                    ),
                ),
                ledger_section(record.id),
            ),
        )

    def _draft(self, request: HttpRequest, record: None) -> HttpResponseBase:  # noqa: ARG002
        user = cast("User", request.user)
        page = SignedPage(
            kind="Draft a type of evidence",
            heading="A type of your own",
            lead="What rules read of it stays in every later version, so name the fields with care.",
            title="Your draft",
            states=(("Printed name", user.printed_name),),
            submit="Draft",
            undone="Not drafted.",
            decline="Do not draft",
            back=reverse("admin:governance_evidencetypedraft_changelist"),
            back_words="Back to the drafts",
            hindrance=step_hindrance(user=user, roles=KEEPERS),
        )

        def act(form: DraftForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            definition = Definition(
                name=sent["name"],
                title=sent["title"],
                description=sent["description"],
                about=About(sent["about"]),
                fresh_days=sent["fresh_days"],
                schema=_schema(sent["schema"]),
            )
            officer = Officer(user, sent["password"])
            draft = evidence_type_draft(officer=officer, definition=definition, at=timezone.now())
            messages.success(request, "Drafted. Another officer has to publish it now.")
            return HttpResponseRedirect(record_address(draft))

        return signed_page(self, request, page, DraftForm(request.POST or None), act)

    def _publish(self, request: HttpRequest, draft: EvidenceTypeDraft) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=draft,
            kind="Publish a type of evidence",
            heading=str(draft),
            lead="For good: evidence of it is taken and policies may name it at once.",
            sections=_sections(bytes(draft.document)),
            title="Your publication",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I have examined this type, did not draft it, and publish it.")),
            ),
            submit="Publish",
            undone="Not published.",
            decline="Do not publish",
            back=record_address(draft),
            back_words="Back to the draft",
            hindrance=publishing_hindrance(user=user, draft=draft),
        )

        def act(form: PublishForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            version = evidence_type_publish(officer=officer, draft=draft, at=timezone.now())
            messages.success(request, "Published.")
            return HttpResponseRedirect(record_address(version))

        return signed_page(self, request, page, PublishForm(request.POST or None), act)


def _schema(text: str) -> dict[str, Any]:
    try:
        value = parse_json(text.encode())
    except CanonicalError as error:
        raise RejectedInputError(f"/schema: {error}") from error
    if not isinstance(value, dict):
        raise RejectedInputError("/schema is a JSON object")
    return value


def _state(draft: EvidenceTypeDraft) -> str:
    return badge("published", "published") if hasattr(draft, "version") else badge("open", "not published")


def _retirement(record: EvidenceTypeVersion) -> EvidenceTypeRetirement | None:
    return EvidenceTypeRetirement.objects.filter(name=record.name).first()


def _retiring_hindrance(request: HttpRequest, record: EvidenceTypeVersion) -> str | None:
    if _retirement(record):
        return "it was retired before"
    return step_hindrance(user=cast("User", request.user), roles=KEEPERS)


def _sections(document: bytes) -> tuple[Section, ...]:
    kind = own_type(document)
    facts = schema_facts(kind.fields)
    return (
        Facts(
            title="Type",
            rows=(
                ("Name", code(kind.name)),
                ("Version", str(kind.version)),
                ("Title", kind.title),
                ("Description", kind.description),
                ("About a", kind.about.value.replace("_", " ")),
                ("Counts for", f"{kind.fresh_days} days"),
            ),
        ),
        Table(
            title="What policies read",
            columns=("Fact", "Type"),
            rows=tuple((code(f"{kind.name}.{name}"), type_.value) for name, type_ in facts.items()),
        ),
        Text(title="Schema", text=json.dumps(kind.schema.document, indent=2, ensure_ascii=False)),
    )
