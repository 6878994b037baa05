"""Authenticator apps: who signs with which, and the steps by which people enrol and replace theirs."""

from typing import cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, record_address
from governance.admin.ledger import ledger_section
from governance.admin.qr import qr_drawing
from governance.admin.revoking import may_revoke, revoke_page
from governance.admin.sections import Action, Facts, ListHead, Page
from governance.admin.signed_page import SignedPage, code_field, password_field, signed_page
from governance.models import Authenticator, User
from governance.services.authenticator_secrets import secret_open
from governance.services.authenticators import (
    authenticator_confirm,
    authenticator_request,
    authenticator_revoke,
    confirmation_hindrance,
    enrolment_hindrance,
)
from governance.services.one_time_codes import enrolment_uri
from governance.services.proofs import PasswordAndCode

_STEP = ("GET", "HEAD", "POST")


class EnrolForm(forms.Form):
    """What a person gives to begin: which device, and the password."""

    name = forms.CharField(
        max_length=100,
        label="Name of the device",
        help_text="For instance: work phone. It stands in the ledger.",
        widget=UnfoldAdminTextInputWidget(),
    )
    password = password_field("enrolment")


class ConfirmForm(forms.Form):
    """The first code."""

    code = code_field("It proves that the app has the secret and the right time.")


@admin.register(Authenticator)
class AuthenticatorAdmin(GovernedAdmin[Authenticator]):
    """Authenticator apps. The secret is shown once, to its owner, until the first code was given."""

    kinds = ("authenticator",)
    deferred = ("secret",)
    list_display = (
        "name",
        person_column("user", "person"),
        moment_column("requested_at"),
        moment_column("enrolled_at"),
        moment_column("revoked_at"),
        "works",
    )
    list_select_related = ("user",)
    search_fields = ("id__exact", "user__username__icontains", "user__last_name__icontains")
    ordering = ("-requested_at",)

    @admin.display(description="state")
    def works(self, authenticator: Authenticator) -> Cell:
        """Say whether its owner signs with it."""
        return authenticator_badge(authenticator)

    def head(self, request: HttpRequest) -> ListHead:
        """Offer enrolling to who signs and has none."""
        hindrance = enrolment_hindrance(user=cast("User", request.user))
        enrol = Action(
            words="Enrol an authenticator app", address=_list_address("enrol"), symbol="add_to_home_screen", tone="main"
        )
        return ListHead(
            lead="An app on a device of your own, whose codes you give with your password when you sign.",
            actions=() if hindrance else (enrol,),
        )

    def list_addresses(self) -> tuple[Address, ...]:
        """Add the page on which a person begins."""
        return (Address("enrol", self._enrol, _STEP),)

    def addresses(self) -> tuple[Address, ...]:
        """Add the pages on which an authenticator gets its first code and comes to its end."""
        return (Address("confirm", self._confirm, _STEP), Address("revoke", self._revoke, _STEP))

    def page(self, request: HttpRequest, record: Authenticator) -> Page:
        """Show whose it is and how it stands."""
        return Page(
            heading=record.name,
            lead="The secret is kept encrypted and is not shown again.",
            badge=authenticator_badge(record),
            actions=_record_actions(cast("User", request.user), record),
            sections=(
                Facts(
                    title="Authenticator",
                    rows=(
                        ("Id", code(record.id)),
                        ("Person", link(record.user, record.user.printed_name)),
                        ("Begun", moment(record.requested_at)),
                        ("First code given", moment(record.enrolled_at)),
                        ("Revoked", moment(record.revoked_at)),
                        (
                            "Revoked by",
                            link(record.revoked_by, record.revoked_by.printed_name) if record.revoked_by else None,
                        ),
                    ),
                ),
                ledger_section(record.id),
            ),
        )

    def _enrol(self, request: HttpRequest, _none: None) -> HttpResponseBase:
        user = cast("User", request.user)
        page = SignedPage(
            kind="Enrol an authenticator app",
            heading=user.printed_name,
            lead="Have your device at hand. What you sign needs a code of this app from then on.",
            title="Begin",
            states=(("Person", user.printed_name),),
            submit="Show the QR code",
            undone="Not begun.",
            decline="Do not enrol",
            back=_list_address("changelist"),
            back_words="Back to the authenticators",
            hindrance=enrolment_hindrance(user=user),
        )

        def act(form: EnrolForm) -> HttpResponseRedirect:
            sent = form.cleaned_data
            authenticator = authenticator_request(
                user=user, name=sent["name"], password=sent["password"], at=timezone.now()
            )
            return HttpResponseRedirect(record_address(authenticator, "confirm"))

        return signed_page(self, request, page, EnrolForm(request.POST or None), act)

    def _confirm(self, request: HttpRequest, authenticator: Authenticator) -> HttpResponseBase:
        user = cast("User", request.user)
        hindrance = confirmation_hindrance(user=user, authenticator=authenticator, at=timezone.now())
        page = SignedPage(
            record=authenticator,
            kind="Enrol an authenticator app",
            heading=authenticator.name,
            lead="Let the app read the QR code, or type the secret. Then give the first code that it shows.",
            sections=() if hindrance else (_secret_section(authenticator),),
            title="The first code",
            states=(("Person", authenticator.user.printed_name),),
            submit="Enrol",
            undone="Not enrolled.",
            decline="Do not enrol",
            back=_list_address("changelist"),
            back_words="Back to the authenticators",
            hindrance=hindrance,
        )

        def act(form: ConfirmForm) -> HttpResponseRedirect:
            authenticator_confirm(
                user=user, authenticator=authenticator, code=form.cleaned_data["code"], at=timezone.now()
            )
            messages.success(request, "Enrolled. You can sign with this authenticator.")
            return HttpResponseRedirect(record_address(authenticator))

        return signed_page(self, request, page, ConfirmForm(request.POST or None), act)

    def _revoke(self, request: HttpRequest, authenticator: Authenticator) -> HttpResponseBase:
        def revoke(proof: PasswordAndCode, reason: str) -> None:
            user = cast("User", request.user)
            authenticator_revoke(actor=user, authenticator=authenticator, proof=proof, reason=reason, at=timezone.now())

        lead = "Its codes sign nothing from then on. What was signed stays signed."
        return revoke_page(self, request, authenticator, "Revoke an authenticator", lead, revoke)


def authenticator_badge(authenticator: Authenticator) -> SafeString:
    """Say whether an authenticator's owner signs with it."""
    if authenticator.revoked_at is not None:
        return badge("failed", "revoked")
    return badge("passed", "signs") if authenticator.enrolled_at else badge("pending", "waits for its first code")


def _record_actions(user: User, authenticator: Authenticator) -> tuple[Action, ...]:
    if authenticator.revoked_at is not None or not may_revoke(user, authenticator):
        return ()
    return (Action(words="Revoke", address=record_address(authenticator, "revoke"), symbol="cancel", tone="danger"),)


def _secret_section(authenticator: Authenticator) -> Facts:
    secret = secret_open(authenticator)
    uri = enrolment_uri(
        secret, account=authenticator.user.get_username(), issuer=f"Model Notary {settings.NOTARY_INSTANCE}"
    )
    return Facts(
        title="For your device",
        note="Shown to you alone, until the first code is given. Whoever photographs it can compute your codes.",
        rows=(
            ("QR code", qr_drawing(uri, "QR code of the secret below")),
            ("Secret", code(" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)))),
            ("Kind", "time-based, SHA-1, 6 digits, 30 seconds"),
        ),
    )


def _list_address(name: str) -> str:
    return reverse(f"admin:governance_authenticator_{name}")
