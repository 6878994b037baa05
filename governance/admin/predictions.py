"""Predictions as recorded, without whom they are about; and the page that answers who decided about a person."""

from typing import cast

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column
from governance.admin.cells import Cell, badge, code, link, moment, nested, stack, whole
from governance.admin.ledger import ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table
from governance.admin.signed_page import SignedPage, password_field, signed_page
from governance.enums import HumanAction, Purpose
from governance.models import HumanOverride, PredictionRecord, User
from governance.services.officers import Officer, officer_require
from governance.services.prediction_findings import unapproved_words
from governance.services.prediction_search import ASKERS, SUBJECT_LIMIT, Answer, Intervened, predictions_find
from governance.services.steps import step_hindrance

_ACTIONS = {HumanAction.ACCEPT: "approve", HumanAction.MODIFY: "waived", HumanAction.REJECT: "reject"}


class AskForm(forms.Form):
    """About whom, on which day, and what for."""

    subject = forms.CharField(
        strip=False,
        max_length=SUBJECT_LIMIT,
        label="The person's identifier",
        help_text="Exactly as the source system writes it. It stands in no address and no entry.",
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )
    day = forms.DateField(label="Day (UTC)", widget=UnfoldAdminDateWidget)
    purpose = forms.ChoiceField(
        choices=[("", "Choose the purpose"), *Purpose.choices], label="Purpose of use", widget=UnfoldAdminSelectWidget
    )
    password = password_field("question")


@admin.register(PredictionRecord)
class PredictionRecordAdmin(GovernedAdmin[PredictionRecord]):
    """What models decided, and whether they were approved then."""

    kinds = ("prediction",)
    deferred = ("document", "sealed", "pseudonym")
    list_display = ("reference", "approved", "environment", "version", moment_column("at"))
    list_select_related = ("model_version__model",)
    list_filter = ("is_approved",)
    search_fields = ("id__exact", "reference__exact", "model_digest__startswith", "environment__exact")

    @admin.display(description="approved")
    def approved(self, record: PredictionRecord) -> Cell:
        """Show whether it was approved then."""
        return _approved(record)

    @admin.display(description="model version")
    def version(self, record: PredictionRecord) -> Cell:
        """Name what decided."""
        return str(record.model_version) if record.model_version else code(record.model_digest)

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to ask to who can."""
        lead = "Whom they are about stands in none of them; only the person's key finds that."
        if step_hindrance(user=cast("User", request.user), roles=ASKERS):
            return ListHead(lead=lead)
        address = reverse("admin:governance_predictionrecord_ask")
        ask = Action(words="Who decided about a person?", address=address, symbol="person_search", tone="main")
        return ListHead(lead=lead, actions=(ask,))

    def list_addresses(self) -> tuple[Address, ...]:
        """Give the page of the question."""
        return (Address("ask", self._ask, ("GET", "HEAD", "POST")),)

    def page(self, request: HttpRequest, record: PredictionRecord) -> Page:  # noqa: ARG002
        """Show a record, without whom it is about."""
        words = unapproved_words(record)
        overrides = record.human_overrides.defer("document", "sealed")
        return Page(
            heading=str(record),
            badge=_approved(record),
            notices=(Notice(words=words, tone="bad"),) if words else (),
            sections=(
                Facts(title="What decided", rows=_facts(record)),
                _interventions("What people made of it", tuple((item, "sealed", None) for item in overrides)),
                ledger_section(record.batch_id),
            ),
        )

    def _ask(self, request: HttpRequest, record: None) -> HttpResponseBase:  # noqa: ARG002
        user = cast("User", request.user)
        page = SignedPage(
            kind="Who decided about a person on a day",
            heading="A question about a person",
            lead="Who asks, about which day and what for goes into the access log, with a commitment to the person.",
            title="Your question",
            states=(("Printed name", user.printed_name),),
            submit="Ask",
            undone="Not answered.",
            decline="Do not ask",
            back=reverse("admin:governance_predictionrecord_changelist"),
            back_words="Back to the predictions",
            hindrance=step_hindrance(user=user, roles=ASKERS),
        )

        def act(form: AskForm) -> HttpResponseBase:
            sent = form.cleaned_data
            officer_require(Officer(user, sent["password"]), *ASKERS, at=timezone.now())
            answers = predictions_find(
                asker=user,
                subject=sent["subject"],
                day=sent["day"],
                purpose=Purpose(sent["purpose"]),
                at=timezone.now(),
            )
            answer = _answer_page(answers, f"{sent['day']:%Y-%m-%d}")
            return self.render(request, None, "governance/admin/record.html", page=answer)

        return signed_page(self, request, page, AskForm(request.POST or None), act)


def _answer_page(answers: list[Answer], day: str) -> Page:
    warnings = [answer.warning for answer in answers if answer.warning]
    return Page(
        kind="Who decided about a person on a day",
        heading=f"{len(answers)} predictions on {day} (UTC)",
        lead="As recorded, with what stood behind each model at that moment. Keep it as what it is: about a person.",
        notices=tuple(Notice(words=words, tone="bad") for words in dict.fromkeys(warnings)),
        sections=tuple(section for answer in answers for section in _answer_sections(answer))
        or (Facts(title="Nothing found", rows=(("Means", "nothing was recorded, or the person was forgotten"),)),),
    )


def _answer_sections(answer: Answer) -> tuple[Section, ...]:
    record = answer.record
    opened: tuple[tuple[str, Cell], ...] = (
        ("Digest of the input", whole(answer.input_digest)),
        ("Output", nested(answer.output)),
    )
    return (
        Facts(title=f"{record.at:%H:%M:%S} in {record.environment}", rows=(*_facts(record), *opened)),
        _interventions(
            f"What people made of it, {record.at:%H:%M:%S}",
            tuple((item.record, item.reason, _put(item)) for item in answer.interventions),
        ),
    )


def _put(item: Intervened) -> Cell:
    return nested(item.output) if item.output is not None else None


def _facts(record: PredictionRecord) -> tuple[tuple[str, Cell], ...]:
    decision = record.decision
    return (
        ("Approved then", _approved(record)),
        ("Sender's name for it", code(str(record.reference))),
        ("Decided", moment(record.at)),
        ("Environment", record.environment),
        ("Model version", link(record.model_version)),
        ("Digest of the model", whole(record.model_digest)),
        ("Decision", link(decision, decision.id) if decision else None),
        ("What that was worth then", record.get_standing_display() or None),
        ("Policy", link(decision.policy_version) if decision else None),
        ("Override in force", link(record.override)),
        ("Deployment", link(record.deployment)),
        ("Reported by", link(record.batch.reporter, record.batch.reporter.printed_name)),
        ("Received", moment(record.batch.received_at)),
        ("Batch, with its root in the ledger", stack((record.batch_id, record.batch.root))),
    )


def _interventions(title: str, rows: tuple[tuple[HumanOverride, str, Cell], ...]) -> Section:
    return Table(
        title=title,
        columns=("Action", "By", "When", "Reason", "Put in its place"),
        rows=tuple(
            (
                badge(_ACTIONS[HumanAction(item.action)], item.get_action_display()),
                stack((item.person_name, item.person)),
                moment(item.at),
                reason,
                output,
            )
            for item, reason, output in rows
        ),
        empty="Nobody is recorded to have accepted, modified or rejected it.",
    )


def _approved(record: PredictionRecord) -> str:
    if record.override_id:
        return badge("waived", "by override")
    return badge("approved", "approved") if record.is_approved else badge("denied", "not approved")
