"""Passkeys in the admin: registered, used and revoked on its pages; what is refused is said and changes nothing."""

import html
import json
import re
from dataclasses import dataclass
from typing import Any

import factories
import pytest
from admin_records import signed_in
from conftest import Database
from django.conf import settings
from django.test import Client
from django.urls import reverse
from software_authenticator import SoftwareAuthenticator

from governance.enums import DecisionState
from governance.models import Decision, Passkey, Signature, User
from modelnotary.ledger.text import base64url_text

REASON = "The security key fell into the harbour on Monday."


@pytest.fixture(scope="module", autouse=True)
def _database(database: Database, keys: object) -> None:
    """Every test here works on the database."""


@dataclass
class Desk:
    """An officer before the admin, with a device in hand and a decision that waits."""

    case: factories.Case
    officer: User
    client: Client
    device: SoftwareAuthenticator

    def register(self) -> Any:
        begun = self.client.post(reverse("admin:governance_passkey_register"), {"name": "blue key"}, follow=True)
        made = self.device.create(asked(begun)["challenge"])
        proof = {"password": factories.PASSWORD, "code": factories.code(self.officer)}
        return self.client.post(begun.redirect_chain[-1][0], made | proof, follow=True)

    def address(self, vote: str = "approve") -> str:
        return reverse(f"admin:governance_decision_{vote}-by-passkey", args=[self.case.decision.id])

    def prepare(self, vote: str = "approve", **changes: Any) -> Any:
        terms = {
            "role": "compliance",
            "reason": factories.REASON,
            "evidence_set_digest": self.case.decision.evidence_set_digest,
        }
        return self.client.post(self.address(vote), terms | changes, follow=True)

    def sign(self, prepared: Any, **changes: str) -> Any:
        answer = self.device.get(asked(prepared)["challenge"]).to_json()
        sent = answer | {"credential_id": base64url_text(self.device.credential_id)} | changes
        return self.client.post(prepared.redirect_chain[-1][0], sent, follow=True)


@pytest.fixture
def desk() -> Desk:
    case = factories.waiting_case()
    officer = case.officers[0]
    device = SoftwareAuthenticator(settings.PASSKEY_RP_ID, settings.PASSKEY_ORIGINS[0])
    return Desk(case, officer, signed_in(officer), device)


def words(response: Any) -> str:
    return html.unescape(response.content.decode())


def asked(response: Any) -> dict[str, Any]:
    """What the page hands to the browser's authenticator."""
    found = re.search(r'id="passkey-options" type="application/json">(.*?)</script>', response.content.decode())
    assert found, words(response)
    options: dict[str, Any] = json.loads(found[1])
    return options


def state(desk: Desk) -> str:
    return str(Decision.objects.get(pk=desk.case.decision.pk).state)


@pytest.mark.parametrize(("vote", "after"), [("approve", "passed"), ("reject", "failed")])
def test_a_passkey_is_registered_signs_what_was_shown_and_is_revoked(desk: Desk, vote: str, after: str) -> None:
    assert "by passkey" not in words(
        desk.client.get(reverse("admin:governance_decision_change", args=[desk.case.decision.id]))
    )
    assert "Registered. You can sign with this passkey." in words(desk.register())
    shown = words(desk.client.get(reverse("admin:governance_decision_change", args=[desk.case.decision.id])))
    assert desk.address(vote) in shown
    prepared = desk.prepare(vote)
    assert desk.case.decision.evidence_set_digest in words(prepared)
    assert "Signatures: 1 of 1." in words(desk.sign(prepared))
    assert state(desk) == after
    signature = Signature.objects.get(request=desk.case.request)
    assert (signature.signer, signature.method, signature.vote) == (desk.officer, "passkey", vote)
    passkey = Passkey.objects.get(user=desk.officer)
    revoking = reverse("admin:governance_passkey_revoke", args=[passkey.pk])
    proof = {"reason": REASON, "password": factories.PASSWORD, "code": factories.code(desk.officer)}
    assert "Revoked." in words(desk.client.post(revoking, proof, follow=True))
    passkey.refresh_from_db()
    assert passkey.revoked_by == desk.officer


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "no answer": ({"signature": ""}, "Not signed. The passkey gave no answer."),
    "a signature of something else": ({"signature": "AAAA"}, "Not signed. The passkey did not sign this"),
    "an unknown key": ({"credential_id": "AAAA"}, "not registered for this person"),
    "no base64url": ({"clientDataJSON": "e30="}, "base64url"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_passkey_did_not_sign_is_refused_in_words_and_can_be_signed_after(desk: Desk, what: str) -> None:
    change, reason = REFUSED[what]
    desk.register()
    prepared = desk.prepare()
    assert reason in words(desk.sign(prepared, **change))
    assert state(desk) == DecisionState.PENDING
    assert "Signatures: 1 of 1." in words(desk.sign(prepared))


def test_each_is_told_why_not(desk: Desk) -> None:
    assert "Register a passkey first" in words(desk.client.get(desk.address()))
    author = signed_in(desk.case.author)
    assert "cannot approve it; ask someone else" in words(author.get(desk.address()))
    administrator = signed_in(factories.administrator())
    assert "never signs and so needs no passkey" in words(
        administrator.get(reverse("admin:governance_passkey_register"))
    )
    desk.register()
    passkey = Passkey.objects.get(user=desk.officer)
    other = signed_in(desk.case.officers[1])
    assert "somebody else's passkey" in words(other.get(reverse("admin:governance_passkey_answer", args=[passkey.pk])))
    revoking = reverse("admin:governance_passkey_revoke", args=[passkey.pk])
    assert "Only its owner and an administrator can revoke it" in words(other.get(revoking))
    lost = {"reason": REASON, "password": factories.PASSWORD}
    assert "Revoked." in words(administrator.post(revoking, lost, follow=True))
    assert "Register a passkey first" in words(desk.client.get(desk.address()))


def test_a_ticket_of_another_officer_shows_the_first_step(desk: Desk) -> None:
    desk.register()
    address = desk.prepare().redirect_chain[-1][0]
    other = signed_in(desk.case.officers[1])
    shown = words(other.get(address))
    assert "passkey-options" not in shown
    assert state(desk) == DecisionState.PENDING
