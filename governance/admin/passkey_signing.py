"""Signing a decision by passkey: first the statement is frozen, then the passkey signs exactly that."""

import json
from dataclasses import replace

from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone

from governance.admin.base import Address, GovernedAdmin
from governance.admin.cells import record_address, strong, whole
from governance.admin.passkey_forms import AssertionAnswer
from governance.admin.sections import Text
from governance.admin.signed_page import signed_page
from governance.admin.signing import Signing, TermsForm, by_passkey, signing_view
from governance.enums import Vote
from governance.models import Decision, SigningTicket
from governance.services.approvals import approval_sign, signing_prepare
from governance.services.passkey_options import request_options
from governance.services.passkeys import PasskeyAnswer, passkeys_of
from governance.services.statements import ticket_intent
from modelnotary.ledger.canonical import parse_canonical

_TICKET = "ticket"


def passkey_addresses(shown: GovernedAdmin[Decision]) -> tuple[Address, ...]:
    """Give the two pages on which a decision is signed by passkey."""
    return tuple(
        Address(by_passkey(vote), signing_view(_Ceremony, shown, vote), ("GET", "HEAD", "POST")) for vote in Vote
    )


class _Ceremony(Signing):
    """One visit to the page on which a decision is approved or rejected by passkey."""

    def answer(self) -> HttpResponseBase:
        """Ask for the terms; with a ticket for them, ask the passkey, or sign."""
        tickets = SigningTicket.objects.filter(request=self.approval, signer=self.signer)
        ticket = tickets.filter(pk=self.request.GET.get(_TICKET, "")).first()
        return self._terms() if ticket is None else self._assertion(ticket)

    def _terms(self) -> HttpResponseBase:
        page = replace(
            self.page(),
            submit="Go on to the passkey",
            hindrance=self.page().hindrance or self._no_passkey(),
        )

        def act(form: TermsForm) -> HttpResponseRedirect:
            ticket = signing_prepare(
                signer=self.signer, request_id=self.approval.id, terms=form.terms(self.vote), at=timezone.now()
            )
            return HttpResponseRedirect(f"{self._here()}?{_TICKET}={ticket.pk}")

        return signed_page(self.shown, self.request, page, self.form(TermsForm), act)

    def _assertion(self, ticket: SigningTicket) -> HttpResponseBase:
        statement = parse_canonical(bytes(ticket.statement))
        options = request_options(ticket)
        frozen = Text(title="What you sign", text=json.dumps(statement, indent=2, ensure_ascii=False))
        page = replace(
            self.page(),
            lead="Your passkey signs exactly the statement below, within two minutes of its making.",
            sections=(frozen,),
            states=(
                ("Printed name", self.signer.printed_name),
                ("You state", strong(self.meaning)),
                ("Challenge", whole(options["challenge"])),
            ),
        )

        def act(form: AssertionAnswer) -> HttpResponseRedirect:
            answer = PasskeyAnswer(ticket, form.cleaned_data["credential_id"], form.assertion)
            intent = ticket_intent(answer)
            approval_sign(signer=self.signer, request_id=self.approval.id, intent=intent, at=timezone.now())
            return self.signed()

        form, template = AssertionAnswer(self.request.POST or None), "governance/admin/passkey.html"
        return signed_page(
            self.shown, self.request, page, form, act, template=template, ceremony="get", options=options
        )

    def _no_passkey(self) -> str | None:
        return None if passkeys_of(self.signer) else "register a passkey first, under Accounts"

    def _here(self) -> str:
        return record_address(self.approval.decision, by_passkey(self.vote))
