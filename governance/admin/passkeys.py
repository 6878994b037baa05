"""Passkeys: who signs with which, and the steps by which people register theirs and end its use."""

from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, record_address, whole
from governance.admin.ledger import ledger_section
from governance.admin.passkey_forms import RegistrationAnswer
from governance.admin.revoking import may_revoke, revoke_page
from governance.admin.sections import Action, Facts, ListHead, Page
from governance.admin.signed_page import SignedPage, code_field, password_field, signed_page
from governance.models import Passkey, User
from governance.services.passkey_options import creation_options
from governance.services.passkeys import (
    passkey_register,
    passkey_request,
    passkey_revoke,
    registering_hindrance,
)
from governance.services.proofs import PasswordAndCode
from modelnotary.ledger.text import base64url_text

_STEP = ("GET", "HEAD", "POST")


class NameForm(forms.Form):
    """Which device."""

    name = forms.CharField(
        max_length=100,
        label="Name of the device",
        help_text="For instance: blue security key. It stands in the ledger.",
        widget=UnfoldAdminTextInputWidget(),
    )


class AnswerForm(RegistrationAnswer):
    """The authenticator's answer, with proof of who answers."""

    password = password_field("registration")
    code = code_field("It proves that it is you who registers the passkey.")


@admin.register(Passkey)
class PasskeyAdmin(GovernedAdmin[Passkey]):
    """Passkeys. Only public keys are here."""

    kinds = ("passkey",)
    list_display = (
        "name",
        person_column("user", "person"),
        moment_column("requested_at"),
        moment_column("registered_at"),
        moment_column("revoked_at"),
        "works",
    )
    list_select_related = ("user",)
    search_fields = ("id__exact", "user__username__icontains", "user__last_name__icontains")
    ordering = ("-requested_at",)

    @admin.display(description="state")
    def works(self, passkey: Passkey) -> Cell:
        """Say whether its owner signs with it."""
        return _state(passkey)

    def head(self, request: HttpRequest) -> ListHead:
        """Offer registering one to who signs."""
        hindrance = registering_hindrance(user=cast("User", request.user))
        register = Action(words="Register a passkey", address=_list_address("register"), symbol="passkey", tone="main")
        return ListHead(
            lead="A key on a device of your own that signs decisions itself, so that everybody can check it.",
            actions=() if hindrance else (register,),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Add the page on which a person begins."""
        return (Address("register", self._register, _STEP),)

    def addresses(self) -> tuple[Address, ...]:
        """Add the pages on which a passkey is made and comes to its end."""
        return (Address("answer", self._answer, _STEP), Address("revoke", self._revoke, _STEP))

    def page(self, request: HttpRequest, record: Passkey) -> Page:
        """Show whose it is and how it stands."""
        revoke = Action(words="Revoke", address=record_address(record, "revoke"), symbol="cancel", tone="danger")
        may = record.revoked_at is None and may_revoke(cast("User", request.user), record)
        return Page(
            heading=record.name,
            lead="Signatures made with it are checked against the public key that the ledger names.",
            badge=_state(record),
            actions=(revoke,) if may else (),
            sections=(Facts(title="Passkey", rows=_rows(record)), ledger_section(record.id)),
        )

    def _register(self, request: HttpRequest, _none: None) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            kind="Register a passkey",
            heading=user.printed_name,
            lead="Have your device at hand. It checks you by PIN or biometry, and signs for this address alone.",
            title="Begin",
            states=(("Person", user.printed_name),),
            submit="Go on",
            undone="Not begun.",
            decline="Do not register",
            back=_list_address("changelist"),
            back_words="Back to the passkeys",
            hindrance=registering_hindrance(user=user),
        )

        def act(form: NameForm) -> HttpResponseRedirect:
            passkey = passkey_request(user=user, name=form.cleaned_data["name"], at=timezone.now())
            return HttpResponseRedirect(record_address(passkey, "answer"))

        return signed_page(self, request, page, NameForm(request.POST or None), act)

    def _answer(self, request: HttpRequest, passkey: Passkey) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            record=passkey,
            kind="Register a passkey",
            heading=passkey.name,
            lead="Give password and code; your browser then asks for the device.",
            title="Your passkey",
            states=(("Person", passkey.user.printed_name), ("For", passkey.rp_id)),
            submit="Make the passkey",
            undone="Not registered.",
            decline="Do not register",
            back=_list_address("changelist"),
            back_words="Back to the passkeys",
            hindrance=registering_hindrance(user=user, passkey=passkey, at=timezone.now()),
        )

        def act(form: AnswerForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            passkey_register(
                user=user,
                passkey=passkey,
                authenticator_data=sent["authenticatorData"],
                client_data=sent["clientDataJSON"],
                proof=PasswordAndCode(sent["password"], sent["code"]),
                at=timezone.now(),
            )
            messages.success(request, "Registered. You can sign with this passkey.")
            return HttpResponseRedirect(record_address(passkey))

        form, template = AnswerForm(request.POST or None), "governance/admin/passkey.html"
        options = {} if page.hindrance else creation_options(passkey)
        return signed_page(self, request, page, form, act, template=template, ceremony="create", options=options)

    def _revoke(self, request: HttpRequest, passkey: Passkey) -> HttpResponseBase:
        def revoke(proof: PasswordAndCode, reason: str) -> None:
            user = cast("User", request.user)
            passkey_revoke(actor=user, passkey=passkey, proof=proof, reason=reason, at=timezone.now())

        lead = "It signs nothing from then on. What it signed stays signed."
        return revoke_page(self, request, passkey, "Revoke a passkey", lead, revoke)


def _state(passkey: Passkey) -> SafeString:
    if passkey.revoked_at is not None:
        return badge("failed", "revoked")
    return badge("passed", "signs") if passkey.registered_at else badge("pending", "waits for its answer")


def _rows(passkey: Passkey) -> tuple[tuple[str, Cell], ...]:
    copied = {True: "yes, between its owner's devices", False: "no", None: None}
    return (
        ("Id", code(passkey.id)),
        ("Person", link(passkey.user, passkey.user.printed_name)),
        ("Made for", passkey.rp_id),
        ("Begun", moment(passkey.requested_at)),
        ("Registered", moment(passkey.registered_at)),
        ("Credential", whole(_text(passkey.credential_id))),
        ("Public key", whole(_text(passkey.public_key))),
        ("May be copied", copied[passkey.backup_eligible]),
        ("Revoked", moment(passkey.revoked_at)),
        ("Revoked by", link(passkey.revoked_by, passkey.revoked_by.printed_name) if passkey.revoked_by else None),
    )


def _text(value: bytes | memoryview | None) -> str | None:
    return None if value is None else base64url_text(bytes(value))


def _list_address(name: str) -> str:
    return reverse(f"admin:governance_passkey_{name}")
