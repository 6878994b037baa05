"""Ending the use of what somebody signs with: its owner does, or an administrator where it was lost."""

from collections.abc import Callable
from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from governance.admin.base import GovernedAdmin
from governance.admin.cells import record_address, strong
from governance.admin.signed_page import SignedPage, code_field, password_field, reason_field, signed_page
from governance.models import Authenticator, Passkey, User
from governance.services.authenticators import REASON_MINIMUM
from governance.services.proofs import PasswordAndCode


class OwnRevokeForm(forms.Form):
    """What its owner gives to end it."""

    reason = reason_field("It stands in the ledger.", at_least=REASON_MINIMUM)
    password = password_field("revocation")
    code = code_field("Without the device, ask an administrator to revoke it.")


class AdministratorRevokeForm(forms.Form):
    """What an administrator gives to end a lost one."""

    reason = reason_field("It stands in the ledger. Say how you know who asks.", at_least=REASON_MINIMUM)
    password = password_field("revocation")


def may_revoke(user: User, device: Authenticator | Passkey) -> bool:
    """Say whether somebody may end it."""
    return user.is_superuser or user.pk == device.user_id


def revoke_page[Device: (Authenticator, Passkey)](  # noqa: PLR0917 - the page, and what is said and done on it
    shown: GovernedAdmin[Device],
    request: HttpRequest,
    device: Device,
    kind: str,
    lead: str,
    revoke: Callable[[PasswordAndCode, str], object],
) -> HttpResponseBase:
    """Show the form by which a device is revoked, or call `revoke` with what proves who asks, and the reason."""
    user, name = cast("User", request.user), device._meta.verbose_name  # noqa: SLF001 - Django's way to a model's name
    form_class = AdministratorRevokeForm if user.is_superuser else OwnRevokeForm
    page = SignedPage(
        record=device,
        kind=kind,
        heading=str(device),
        lead=lead,
        title="Your revocation",
        states=(("Printed name", user.printed_name), ("You state", strong(f"This {name} is to end now."))),
        submit="Revoke it",
        tone="danger",
        undone="Not revoked.",
        decline="Leave it as it is",
        back=record_address(device),
        back_words=f"Back to the {name}",
        hindrance=None if may_revoke(user, device) else "only its owner and an administrator can revoke it",
    )

    def act(form: forms.Form) -> HttpResponseRedirect:
        sent = form.cleaned_data
        revoke(PasswordAndCode(sent["password"], sent.get("code", "")), sent["reason"])
        messages.success(request, "Revoked.")
        return HttpResponseRedirect(record_address(device))

    return signed_page(shown, request, page, form_class(request.POST or None), act)
