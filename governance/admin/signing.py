"""Signing a decision, or refusing it: a form with fresh proof of who signs, and every refusal in plain words."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong, whole
from governance.admin.decision_sections import evidence_section, rules_section, signatures_section
from governance.admin.sections import Action, Notice
from governance.admin.signed_page import SignedPage, code_field, password_field, reason_field, signed_page
from governance.enums import ApprovalState, Role, Vote
from governance.models import ApprovalRequest, Decision, User
from governance.services.approvals import (
    REASON_MINIMUM,
    approval_hindrance,
    approval_sign,
    roles_accepted,
)
from governance.services.decisions import roles_missing
from governance.services.passkeys import passkeys_of
from governance.services.proofs import PasswordAndCode
from governance.services.statements import SigningIntent, SigningTerms, signature_meaning


class TermsForm(forms.Form):
    """What a person adds to what is on the screen: role and reason."""

    role = forms.ChoiceField(choices=Role.choices, label="You sign as", widget=UnfoldAdminSelectWidget)
    reason = reason_field("It is printed with your signature, for good.", at_least=REASON_MINIMUM)
    evidence_set_digest = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data: Any, *, roles: list[Role], evidence_set_digest: str) -> None:  # noqa: ANN401
        super().__init__(data, initial={"evidence_set_digest": evidence_set_digest})
        # Only what may be chosen is offered. What was sent all the same is the service's to refuse and to record.
        cast("forms.Select", self.fields["role"].widget).choices = [(role.value, role.label) for role in roles]

    def terms(self, vote: Vote) -> SigningTerms:
        """Give what the person wants to sign."""
        sent = self.cleaned_data
        return SigningTerms(
            vote=vote,
            role=Role(sent["role"]),
            reason=sent["reason"],
            evidence_set_digest=sent["evidence_set_digest"],
        )


class SigningForm(TermsForm):
    """The same with proof of who the person is."""

    password = password_field("signature")
    code = code_field("It is good for one signature.")

    def intent(self, vote: Vote) -> SigningIntent:
        """Give what the person signs."""
        sent = self.cleaned_data
        return SigningIntent(**asdict(self.terms(vote)), proof=PasswordAndCode(sent["password"], sent["code"]))


def sign_addresses(shown: GovernedAdmin[Decision]) -> tuple[Address, ...]:
    """Give the two pages on which a decision is signed with password and code."""
    return tuple(Address(vote.value, signing_view(Signing, shown, vote), ("GET", "HEAD", "POST")) for vote in Vote)


def signing_view(
    ceremony: "type[Signing]", shown: GovernedAdmin[Decision], vote: Vote
) -> Callable[[HttpRequest, Decision], HttpResponseBase]:
    """Give a page on which a decision is signed in one of the ways."""

    def view(request: HttpRequest, decision: Decision) -> HttpResponseBase:
        approval = ApprovalRequest.objects.filter(decision=decision).first()
        if approval is None:
            messages.error(request, "This decision asks for no signatures.")
            return HttpResponseRedirect(record_address(decision))
        return ceremony(shown, request, approval, vote).answer()

    return view


def signing_actions(request: HttpRequest, approval: ApprovalRequest | None) -> tuple[Action, ...]:
    """Offer signing to who can."""
    if approval is None or approval.state != ApprovalState.OPEN or signing_hindrance(request, approval):
        return ()
    decision = approval.decision
    by_code = (
        Action(words="Approve", address=record_address(decision, Vote.APPROVE), symbol="check_circle", tone="main"),
        Action(words="Reject", address=record_address(decision, Vote.REJECT), symbol="cancel", tone="danger"),
    )
    if not passkeys_of(cast("User", request.user)):
        return by_code
    return (
        *by_code,
        *(
            Action(
                words=f"{vote.label} by passkey", address=record_address(decision, by_passkey(vote)), symbol="passkey"
            )
            for vote in Vote
        ),
    )


def by_passkey(vote: Vote) -> str:
    """Give the name of the page on which a decision is signed by passkey."""
    return f"{vote.value}-by-passkey"


def signing_notices(request: HttpRequest, approval: ApprovalRequest | None) -> tuple[Notice, ...]:
    """Say what an open decision waits for, and to who cannot sign it, why."""
    if approval is None or approval.state != ApprovalState.OPEN:
        return ()
    given = approval.signatures.count()
    roles = " or ".join(Role(role).label.lower() for role in approval.roles)
    missing = roles_missing(approval, list(approval.signatures.all()))
    wanted = ", ".join(f"{number} {Role(role).label.lower()}" for role, number in missing.items())
    still = f" Still wanted: {wanted}." if missing else ""
    waits = Notice(words=f"Waits for signatures: {given} of {approval.quorum} given, each by a {roles}.{still}")
    hindrance = signing_hindrance(request, approval)
    return (waits, Notice(words=f"You cannot sign it: {hindrance}.")) if hindrance else (waits,)


def signing_hindrance(request: HttpRequest, approval: ApprovalRequest) -> str | None:
    """Say in words why the caller cannot sign, or nothing."""
    return approval_hindrance(signer=cast("User", request.user), request=approval)


@dataclass(frozen=True, slots=True)
class Signing:
    """One visit to a page on which a decision is approved or rejected; here with password and code."""

    shown: GovernedAdmin[Decision]
    request: HttpRequest
    approval: ApprovalRequest
    vote: Vote

    @property
    def signer(self) -> User:
        """Who visits."""
        return cast("User", self.request.user)

    @property
    def meaning(self) -> str:
        """What the signature says."""
        policy = self.approval.decision.policy_version
        assert policy is not None
        return signature_meaning(policy=policy, vote=self.vote)

    def answer(self) -> HttpResponseBase:
        """Show the form, or sign and lead back to the decision."""
        return signed_page(self.shown, self.request, self.page(), self.form(SigningForm), self._sign)

    def form[Terms: TermsForm](self, kind: type[Terms]) -> Terms:
        """Give the form, as it was sent if it was."""
        return kind(
            self.request.POST or None,
            roles=roles_accepted(signer=self.signer, request=self.approval),
            evidence_set_digest=self.approval.decision.evidence_set_digest,
        )

    def page(self) -> SignedPage:
        """Give what is on the page."""
        decision, approves = self.approval.decision, self.vote is Vote.APPROVE
        return SignedPage(
            record=decision,
            kind=f"{self.vote.label} a decision",
            heading=f"{decision.model_version} to {decision.environment}",
            lead="Read what the rules saw. Your signature is bound to exactly the evidence below.",
            sections=(rules_section(decision), evidence_section(decision), *signatures_section(self.approval)),
            title="Your signature",
            states=(
                ("Printed name", self.signer.printed_name),
                ("You state", strong(self.meaning)),
                ("Bound to the evidence", whole(decision.evidence_set_digest)),
            ),
            submit="Sign: approve" if approves else "Sign: reject",
            tone="main" if approves else "danger",
            undone="Not signed.",
            decline="Do not sign",
            back=record_address(decision),
            back_words="Back to the decision",
            hindrance=signing_hindrance(self.request, self.approval),
        )

    def _sign(self, form: SigningForm) -> HttpResponseRedirect:
        intent = form.intent(self.vote)
        approval_sign(signer=self.signer, request_id=self.approval.id, intent=intent, at=timezone.now())
        return self.signed()

    def signed(self) -> HttpResponseRedirect:
        """Say that it is signed, and lead back to the decision."""
        given = self.approval.signatures.count()
        what = "approved" if self.vote is Vote.APPROVE else "rejected"
        messages.success(
            self.request, f"Signed: you {what} this decision. Signatures: {given} of {self.approval.quorum}."
        )
        return HttpResponseRedirect(record_address(self.approval.decision))
