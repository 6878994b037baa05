"""Approving and rejecting in the admin: who can, what it takes, and what everybody else is told."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factories
import pytest
from admin_records import looks, signed_in
from conftest import Database
from django.test import Client
from django.urls import reverse
from factories import PASSWORD, REASON, Case

from audit.models import Entry
from governance.enums import DecisionState, Role, Vote
from governance.models import Decision, Signature, User
from governance.services.decisions import decision_evaluate
from modelnotary.ledger.event import Event

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture(scope="module", autouse=True)
def _database(database: Database) -> None:
    """Every test here works on the database."""


def page(case: Case, name: str) -> str:
    return reverse(f"admin:governance_decision_{name}", args=[case.decision.id])


def form(case: Case, **changes: Any) -> dict[str, Any]:
    proof = {"password": PASSWORD, "code": "000000"}
    return {"role": "compliance", "reason": REASON, "evidence_set_digest": case.decision.evidence_set_digest} | (
        proof | changes
    )


def sign(case: Case, signer: User, vote: Vote = Vote.APPROVE, **changes: Any) -> Any:
    sent = form(case, **({"code": factories.proof(signer).code} | changes))
    return signed_in(signer).post(page(case, vote), sent, follow=True)


def words(response: Any) -> str:
    """A page's text as the reader reads it."""
    return html.unescape(response.content.decode())


def state(case: Case) -> str:
    return str(Decision.objects.get(pk=case.decision.pk).state)


def refusals(case: Case) -> list[str]:
    """Codes of the refused attempts that the ledger holds."""
    entries = Entry.objects.filter(event_type="approval.refused", subject_id=case.request.id).order_by("body_id")
    return [str(Event.from_bytes(bytes(entry.bytes)).data["code"]) for entry in entries]


def test_two_officers_approve_and_the_decision_passes() -> None:
    case = factories.waiting_case(quorum=2)
    first, second = case.officers

    shown = words(signed_in(first).get(page(case, "change")))
    assert f'href="{page(case, "approve")}"' in shown
    assert "Waits for signatures: 0 of 2 given" in shown
    offered = words(signed_in(first).get(page(case, "approve")))
    for printed in (
        first.printed_name,
        "I have reviewed the evidence and approve this use.",
        case.decision.evidence_set_digest,
        "PERF-001",
        case.evidence.id,
    ):
        assert printed in offered

    assert "Signed: you approved this decision. Signatures: 1 of 2." in words(sign(case, first))
    assert state(case) == DecisionState.PENDING
    assert "Signatures: 2 of 2." in words(sign(case, second))
    assert state(case) == DecisionState.PASSED
    ended = words(signed_in(first).get(page(case, "change")))
    for printed in (first.printed_name, second.printed_name, REASON, "Passed", f"{case.decision.id}.dsse.json"):
        assert printed in ended
    assert page(case, "approve") not in ended


def test_a_rejection_ends_it_and_does_not_say_that_its_signer_approves() -> None:
    case = factories.waiting_case(quorum=2)
    offered = words(signed_in(case.officers[0]).get(page(case, "reject")))
    assert "I have examined the evidence and reject this use." in offered
    assert "Signed: you rejected this decision." in words(sign(case, case.officers[0], Vote.REJECT))
    assert state(case) == DecisionState.FAILED
    signature = Signature.objects.get(request=case.request)
    assert (signature.vote, signature.meaning) == ("reject", "I have examined the evidence and reject this use.")


ROLELESS = "holds none of the roles that the policy accepts"
OUTSIDERS: dict[str, tuple[Callable[[Case], User], str]] = {
    "author": (lambda case: case.author, "wrote the model version and so cannot approve it"),
    "requester": (lambda case: case.requester, "requested the decision and so cannot approve it"),
    "producer": (lambda case: case.producer, "produced evidence for it and so cannot approve it"),
    "publisher": (lambda case: case.publisher, "published the policy and so cannot approve it"),
    "superuser": (lambda _: factories.administrator(), "superuser can change the rules and so cannot approve"),
    "auditor": (lambda _: factories.person(Role.AUDITOR), ROLELESS),
}


@pytest.fixture(scope="module")
def waiting(keys: Path, database: Database) -> Case:
    """A case that nobody manages to sign."""
    return factories.waiting_case()


@pytest.mark.parametrize("who", OUTSIDERS)
def test_who_may_not_sign_is_offered_nothing_and_refused_in_words(who: str, waiting: Case) -> None:
    make, reason = OUTSIDERS[who]
    outsider = make(waiting)
    refused_before = len(refusals(waiting))

    shown = words(signed_in(outsider).get(page(waiting, "change")))
    assert "You cannot sign it:" in shown
    assert reason in shown
    assert page(waiting, "approve") not in shown
    visited = words(signed_in(outsider).get(page(waiting, "approve")))
    assert reason in visited
    assert 'name="password"' not in visited

    answered = words(sign(waiting, outsider))
    assert "Not signed." in answered
    # What was sent is judged, not what was offered: the form sent names a role.
    assert ("does not hold the role Compliance officer" if reason == ROLELESS else reason) in answered
    assert state(waiting) == DecisionState.PENDING
    assert refusals(waiting)[refused_before:] == ["separation-of-duties"]


FAULTS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "wrong password": (
        {"password": "not the password"},
        "The password or the code is missing or wrong",
        ["reauthentication-required"],
    ),
    "wrong code": ({"code": "not a code"}, "The password or the code is missing", ["reauthentication-required"]),
    "evidence not on the screen": (
        {"evidence_set_digest": "sha256:" + "0" * 64},
        "The evidence is not what was shown",
        ["evidence-changed"],
    ),
    "role not held": ({"role": "model_risk"}, "does not hold the role Model risk officer", ["separation-of-duties"]),
    "role that is none": ({"role": "king"}, "Select a valid choice", []),
    "no password": ({"password": ""}, "This field is required", []),
    "no code": ({"code": ""}, "This field is required", []),
    "short reason": ({"reason": "it is fine"}, "Say why in at least 20 characters", []),
    "blank reason": ({"reason": " " * 40}, "This field is required", []),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_officer_who_gets_something_wrong_is_told_what(fault: str, waiting: Case) -> None:
    changes, reason, codes = FAULTS[fault]
    before = len(refusals(waiting))
    answered = words(sign(waiting, waiting.officers[0], **changes))
    assert reason in answered
    assert 'name="password"' in answered  # and can try again
    assert PASSWORD not in answered
    assert refusals(waiting)[before:] == codes
    assert not Signature.objects.filter(request=waiting.request).exists()


def test_a_second_signature_of_one_person_and_one_after_the_end_are_refused() -> None:
    case = factories.waiting_case(quorum=2)
    first, second = case.officers
    sign(case, first)
    assert f"{first.printed_name} has signed this request already" in words(sign(case, first))
    sign(case, second)
    late = factories.person(Role.COMPLIANCE)
    assert f"This request was already approved by {second.printed_name} at" in words(sign(case, late))
    assert Signature.objects.filter(request=case.request).count() == 2


def test_evidence_that_arrives_while_an_officer_reads_stops_the_signature() -> None:
    case = factories.waiting_case()
    factories.evidence(case.producer, case.version, auc=0.79)
    answered = words(sign(case, case.officers[0]))
    assert "The evidence changed since the decision was requested; request a new decision" in answered
    assert state(case) == DecisionState.PENDING


def test_a_decision_that_asked_for_no_signatures_cannot_be_signed() -> None:
    case = factories.waiting_case()
    decision = Decision.objects.get(pk=case.decision.pk)
    denied = decision_evaluate(
        actor=case.requester, digest=case.digest, environment=factories.unique("nowhere"), at=decision.evaluated_at
    )
    address = reverse("admin:governance_decision_approve", args=[denied.id])
    answered = words(signed_in(case.officers[0]).get(address, follow=True))
    assert "This decision asks for no signatures." in answered


def test_a_service_account_gets_nowhere_near_the_form(waiting: Case) -> None:
    response = signed_in(waiting.pipeline).post(page(waiting, "approve"), form(waiting))
    assert response.status_code == 302
    assert "/admin/login/" in response["Location"]
    assert not Signature.objects.filter(request=waiting.request).exists()


def test_another_site_cannot_make_an_officers_browser_sign(waiting: Case) -> None:
    browser = Client(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    browser.force_login(waiting.officers[0])
    assert browser.post(page(waiting, "approve"), form(waiting)).status_code == 403
    assert not Signature.objects.filter(request=waiting.request).exists()


def test_looking_at_the_form_is_in_the_access_log_and_signing_is_in_the_lineage_log() -> None:
    case = factories.waiting_case()
    officer = case.officers[0]
    signed_in(officer).get(page(case, "approve"))
    assert [(look.identity, look.page, look.digest) for look in looks(officer)] == [
        (case.decision.id, "approve", case.version.digest)
    ]
    sign(case, officer)
    signature = Signature.objects.get(request=case.request)
    assert Entry.objects.get(subject_id=signature.id).event_type == "approval.signed"
