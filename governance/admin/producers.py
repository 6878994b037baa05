"""Keys of evidence producers: what they are worth, and the steps by which officers register and end them."""

from datetime import UTC, datetime, timedelta
from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, record_address, strong, whole
from governance.admin.ledger import attachment, ledger_section
from governance.admin.sections import Action, Facts, ListHead, Notice, Page, Section, Table, Text
from governance.admin.signed_page import SignedPage, password_field, reason_field, signed_page
from governance.models import Evidence, ProducerKey, SignedStatement, User
from governance.services.officers import Officer
from governance.services.producers import (
    KEEPERS,
    KeyTerms,
    confirming_hindrance,
    producer_key_confirm,
    producer_key_propose,
    producer_key_revoke,
)
from governance.services.steps import REASON_MINIMUM, step_hindrance
from modelnotary.attest.producer import MAX_KEY_TEXT
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject

_STEP = ("GET", "HEAD", "POST")
_YEAR = timedelta(days=365)
_LOOKS = {
    "proposed": ("open", "not confirmed"),
    "in_force": ("published", "in force"),
    "not_yet": ("pending", "not yet in force"),
    "expired": ("expired", "expired"),
    "revoked": ("revoked", "revoked"),
}


class ProposeForm(forms.Form):
    """Whose key it is, and until when evidence by it is taken."""

    holder = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True, is_superuser=False).order_by("username"),
        label="Who answers for what it signs",
        help_text="A service account, or the person who answers for an external assessor.",
        widget=UnfoldAdminSelectWidget,
    )
    assessor = forms.CharField(
        max_length=200,
        required=False,
        label="External assessor",
        help_text="Whose key it is; empty for a service account.",
        widget=UnfoldAdminTextInputWidget,
    )
    public_key = forms.CharField(
        max_length=MAX_KEY_TEXT,
        label="Public key",
        help_text="PEM, from BEGIN PUBLIC KEY to END PUBLIC KEY: Ed25519 or ECDSA P-256.",
        widget=UnfoldAdminTextareaWidget({"rows": 5}),
    )
    last_day = forms.DateField(
        label="Last day",
        help_text="Evidence by it is taken from its confirmation to the end of this day (UTC).",
        widget=UnfoldAdminDateWidget,
    )
    reason = reason_field("Say how you compared the key with its holder.", at_least=REASON_MINIMUM)
    password = password_field("proposal")


class ConfirmForm(forms.Form):
    """Proof of who confirms."""

    password = password_field("confirmation")


class RevokeForm(forms.Form):
    """Why a key ends, and from when on what it signed is not trusted."""

    distrusted_from = forms.DateTimeField(
        required=False,
        label="Not trusted from (UTC)",
        help_text="When it was compromised, for instance 2026-11-21 09:00. Empty: now, and all before stays trusted.",
        widget=UnfoldAdminTextInputWidget,
    )
    reason = reason_field("It stands in the ledger for good.", at_least=REASON_MINIMUM)
    password = password_field("revocation")


@admin.register(ProducerKey)
class ProducerKeyAdmin(GovernedAdmin[ProducerKey]):
    """The keys by which evidence is signed."""

    kinds = ("producer_key",)
    list_display = (
        "__str__",
        "standing",
        "fingerprint_code",
        person_column("holder"),
        moment_column("valid_until"),
        moment_column("proposed_at"),
    )
    list_select_related = ("holder", "confirmation", "revocation")
    search_fields = ("id__exact", "fingerprint__startswith", "holder__username__exact")

    @admin.display(description="standing")
    def standing(self, key: ProducerKey) -> Cell:
        """Show what it is worth now."""
        return _standing(key)

    @admin.display(description="fingerprint")
    def fingerprint_code(self, key: ProducerKey) -> Cell:
        """Show what signatures name it by."""
        return code(key.fingerprint)

    def subject(self, record: ProducerKey) -> Subject:
        """Name it with its digest."""
        return Subject("producer_key", record.id, Digest.from_text(record.fingerprint))

    def head(self, request: HttpRequest) -> ListHead:
        """Offer to propose a key to who can."""
        lead = "Evidence that comes in an envelope signed by one of these keys is signed evidence."
        if step_hindrance(user=cast("User", request.user), roles=KEEPERS):
            return ListHead(lead=lead)
        address = reverse("admin:governance_producerkey_propose")
        return ListHead(lead=lead, actions=(Action(words="Propose a key", address=address, symbol="key", tone="main"),))

    def list_addresses(self) -> tuple[Address, ...]:
        """Give the page on which a key is proposed."""
        return (Address("propose", self._propose, _STEP),)

    def addresses(self) -> tuple[Address, ...]:
        """Give the pages on which a key is confirmed and ended."""
        return (Address("confirm", self._confirm, _STEP), Address("revoke", self._revoke, _STEP))

    def page(self, request: HttpRequest, record: ProducerKey) -> Page:
        """Show the key, who stands for it, and what it signed."""
        user, now = cast("User", request.user), timezone.now()
        standing = record.standing(now)
        hindrance = confirming_hindrance(user=user, key=record, at=now) if standing == "proposed" else None
        return Page(
            heading=str(record),
            badge=_standing(record),
            marks=(whole(record.fingerprint),),
            notices=(Notice(words=f"You cannot confirm it: {hindrance}."),) if hindrance else (),
            actions=_actions(record, user, offered=standing == "proposed" and not hindrance),
            sections=(
                _section(record),
                Text(title="Public key", text=record.public.pem),
                _statements(record),
                ledger_section(record.id),
            ),
        )

    def _propose(self, request: HttpRequest, record: None) -> HttpResponseBase:  # noqa: ARG002
        user, back = cast("User", request.user), reverse("admin:governance_producerkey_changelist")
        page = SignedPage(
            kind="Propose a key of an evidence producer",
            heading="A key of a producer",
            lead="Another officer has to confirm it within seven days. Until then nothing that it signed is taken.",
            title="Your proposal",
            states=(("Printed name", user.printed_name),),
            submit="Propose",
            undone="Not proposed.",
            decline="Do not propose",
            back=back,
            back_words="Back to the keys",
            hindrance=step_hindrance(user=user, roles=KEEPERS),
        )

        def act(form: ProposeForm) -> HttpResponseRedirect:
            sent, now = form.cleaned_data, timezone.now()
            day = sent["last_day"]
            terms = KeyTerms(
                holder=sent["holder"],
                assessor=sent["assessor"],
                pem=sent["public_key"],
                valid_from=now,
                valid_until=datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1),
                reason=sent["reason"],
            )
            key = producer_key_propose(officer=Officer(user, sent["password"]), terms=terms, at=now)
            messages.success(request, "Proposed. Another officer has to confirm it now.")
            return HttpResponseRedirect(record_address(key))

        initial = {"last_day": (timezone.now() + _YEAR).date()}
        return signed_page(self, request, page, ProposeForm(request.POST or None, initial=initial), act)

    def _confirm(self, request: HttpRequest, key: ProducerKey) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=key,
            kind="Confirm a key of an evidence producer",
            heading=str(key),
            lead="From then on evidence that it signed is taken.",
            sections=(_section(key), Text(title="Public key", text=key.public.pem)),
            title="Your confirmation",
            states=(
                ("Printed name", user.printed_name),
                ("You state", strong("I compared this key with its holder, did not propose it, and confirm it.")),
            ),
            submit="Confirm",
            undone="Not confirmed.",
            decline="Do not confirm",
            back=record_address(key),
            back_words="Back to the key",
            hindrance=confirming_hindrance(user=user, key=key, at=timezone.now()),
        )

        def act(form: ConfirmForm) -> HttpResponseRedirect:
            officer = Officer(user, form.cleaned_data["password"])
            producer_key_confirm(officer=officer, key=key, at=timezone.now())
            messages.success(request, "Confirmed.")
            return HttpResponseRedirect(record_address(key))

        return signed_page(self, request, page, ConfirmForm(request.POST or None), act)

    def _revoke(self, request: HttpRequest, key: ProducerKey) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=key,
            kind="Revoke a key of an evidence producer",
            heading=str(key),
            lead="Nothing by it is taken from now on. What was received when it was not trusted satisfies no rule.",
            sections=(_section(key), _statements(key)),
            title="Your revocation",
            states=(("Printed name", user.printed_name),),
            submit="Revoke",
            tone="danger",
            undone="Not revoked.",
            decline="Leave it as it is",
            back=record_address(key),
            back_words="Back to the key",
            hindrance=_revoking_hindrance(user, key),
        )

        def act(form: RevokeForm) -> HttpResponseRedirect:
            sent, now = form.cleaned_data, timezone.now()
            producer_key_revoke(
                officer=Officer(user, sent["password"]),
                key=key,
                reason=sent["reason"],
                distrusted_from=sent["distrusted_from"] or now,
                at=now,
            )
            messages.success(request, "Revoked.")
            return HttpResponseRedirect(record_address(key))

        return signed_page(self, request, page, RevokeForm(request.POST or None), act)


def signature_section(evidence: Evidence) -> tuple[Section, ...]:
    """Show by which key a piece of evidence was signed."""
    statement: SignedStatement | None = getattr(evidence, "statement", None)
    if statement is None:
        return ()
    return (
        Facts(
            title="Signature",
            rows=(
                ("Key", link(statement.key)),
                ("Fingerprint", whole(statement.key.fingerprint)),
                ("Received", moment(statement.received_at)),
                ("Digest of the envelope", whole(statement.envelope_digest)),
                ("Trusted", statement.distrust or "yes"),
                ("Further signatures, by nobody known", ", ".join(statement.unknown_keys) or None),
            ),
        ),
    )


def signature_notices(evidence: Evidence) -> tuple[Notice, ...]:
    """Say first that a piece is not trusted any more."""
    statement: SignedStatement | None = getattr(evidence, "statement", None)
    words = statement.distrust if statement else ""
    return (Notice(words=f"It satisfies no rule: {words}.", tone="bad"),) if words else ()


def envelope_download(request: HttpRequest, evidence: Evidence) -> HttpResponseBase:
    """Give the envelope byte for byte."""
    statement: SignedStatement | None = getattr(evidence, "statement", None)
    if statement is None:
        messages.error(request, "This evidence was not signed by its producer.")
        return HttpResponseRedirect(record_address(evidence))
    answer: HttpResponse = attachment(bytes(statement.envelope), f"{evidence.id}.dsse.json", "application/json")
    return answer


def _standing(key: ProducerKey) -> SafeString:
    return badge(*_LOOKS[key.standing(timezone.now())])


def _revoking_hindrance(user: User, key: ProducerKey) -> str | None:
    return "it is revoked already" if hasattr(key, "revocation") else step_hindrance(user=user, roles=KEEPERS)


def _actions(key: ProducerKey, user: User, *, offered: bool) -> tuple[Action, ...]:
    confirm = Action(words="Confirm", address=record_address(key, "confirm"), symbol="check_circle", tone="main")
    revoke = Action(words="Revoke", address=record_address(key, "revoke"), symbol="key_off", tone="danger")
    return (*((confirm,) if offered else ()), *(() if _revoking_hindrance(user, key) else (revoke,)))


def _section(key: ProducerKey) -> Section:
    confirmation, revocation = getattr(key, "confirmation", None), getattr(key, "revocation", None)
    return Facts(
        title="Key",
        rows=(
            ("Id", code(key.id)),
            ("Who answers for it", link(key.holder, key.holder.printed_name)),
            ("External assessor", key.assessor or None),
            ("Algorithm", key.public.algorithm),
            ("Taken from", moment(key.valid_from)),
            ("Taken until", moment(key.valid_until)),
            ("Reason", key.reason),
            ("Proposed by", link(key.proposed_by, key.proposed_by.printed_name)),
            ("Proposed", moment(key.proposed_at)),
            (
                "Confirmed by",
                link(confirmation.confirmed_by, confirmation.confirmed_by.printed_name) if confirmation else None,
            ),
            ("Revoked by", link(revocation.revoked_by, revocation.revoked_by.printed_name) if revocation else None),
            ("Not trusted from", moment(revocation.distrusted_from) if revocation else None),
            ("Reason of the revocation", revocation.reason if revocation else None),
        ),
    )


def _statements(key: ProducerKey) -> Section:
    statements = key.statements.select_related("evidence__model_version__model", "evidence__dataset_version__dataset")
    return Table(
        title="What it signed",
        columns=("Evidence", "About", "Received", "Trusted"),
        rows=tuple(
            (
                link(item.evidence, item.evidence.title),
                str(item.evidence.subject),
                moment(item.received_at),
                "no" if item.distrust else "yes",
            )
            for item in statements.defer("envelope", "evidence__document").order_by("-received_at")[:100]
        ),
        note="The newest hundred.",
        empty="Nothing that it signed was received.",
    )
