"""Erasures and legal holds in the admin: who sees them, who acts, what each is told, and where no identifier stands."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import factories
import psycopg
import pytest
from admin_records import erasure_make, hold_make, looks, officer_make, signed_in
from conftest import Database
from django.test import Client
from django.urls import reverse
from factories import PASSWORD, REASON
from psycopg import sql

from audit.enums import ErasureState, LineageEvent, Log
from audit.models import Entry, Erasure, LegalHold
from audit.selectors import entries_of
from governance.enums import Role
from governance.models import User
from governance.services.privacy import order_digest
from modelnotary.ledger.event import Event

ERASURES, HOLDS = "admin:audit_erasure", "admin:audit_legalhold"


@pytest.fixture(scope="module", autouse=True)
def _database(database: Database) -> None:
    """Every test here works on the database."""


def officer() -> User:
    return factories.person(Role.PRIVACY)


def words(response: Any) -> str:
    """A page's text as the reader reads it."""
    return html.unescape(response.content.decode())


def send(user: User, page: str, form: dict[str, Any], *args: str) -> Any:
    return signed_in(user).post(reverse(page, args=args), form, follow=True)


def request_form(person: str, **changes: Any) -> dict[str, Any]:
    return {"person": person, "basis": "gdpr-17-1-b", "reason": REASON, "password": PASSWORD} | changes


def approve_form(erasure: Erasure, person: str, **changes: Any) -> dict[str, Any]:
    return {"shown": order_digest(erasure), "person": person, "password": PASSWORD} | changes


def end_form(order: Erasure | LegalHold, **changes: Any) -> dict[str, Any]:
    return {"shown": order_digest(order), "reason": REASON, "password": PASSWORD} | changes


def hold_form(**changes: Any) -> dict[str, Any]:
    return {"on": "person", "person": "", "matter": "2026-CV-117", "reason": REASON, "password": PASSWORD} | changes


def told(subject_id: str) -> list[str]:
    """The types of the entries about a thing, oldest first."""
    return [entry.event_type for entry in entries_of(subject_id=subject_id, log=Log.LINEAGE, limit=50)]


def refusals(subject_id: str) -> list[tuple[str, str]]:
    """The steps that were refused, and the codes."""
    entries = Entry.objects.filter(event_type=LineageEvent.PRIVACY_REFUSED, subject_id=subject_id).order_by("body_id")
    events = [Event.from_bytes(bytes(entry.bytes)) for entry in entries]
    return [(str(event.data["step"]), str(event.data["code"])) for event in events]


def shown_in(response: Any) -> str:
    """What the form on a page sends back as what was shown."""
    found = re.search(r'name="shown" value="(sha256:[0-9a-f]{64})"', response.content.decode())
    assert found
    return found[1]


def test_two_officers_order_an_erasure_and_no_page_or_entry_names_the_person(database: Database) -> None:
    first, second, person = officer(), officer(), factories.patient()
    asked = send(first, f"{ERASURES}_request", request_form(person))
    assert "Asked for. Another privacy officer has to approve it now." in words(asked)
    erasure = Erasure.objects.get(requested_by=first.id)
    assert "You cannot approve it:" in words(asked)

    offered = signed_in(second).get(reverse(f"{ERASURES}_approve", args=[erasure.id]))
    for printed in (second.printed_name, first.printed_name, erasure.get_basis_display(), REASON, erasure.id):
        assert printed in words(offered)
    form = approve_form(erasure, person, shown=shown_in(offered))
    approved = send(second, f"{ERASURES}_approve", form, erasure.id)
    assert "Approved. It is carried out when the operator rotates the keys." in words(approved)
    assert "python manage.py subject_keys_rotate" in words(approved)
    erasure.refresh_from_db()
    assert (erasure.state, erasure.approved_by) == (ErasureState.APPROVED, second.id)
    assert told(erasure.id) == ["privacy.erasure_requested", "privacy.erasure_approved"]

    listed = signed_in(second).get(reverse(f"{ERASURES}_changelist"))
    for page in (asked, offered, approved, listed):
        assert person not in words(page)
    with psycopg.connect(database.superuser_url) as superuser:
        for table in (("ledger", "body"), ("public", "audit_erasure"), ("public", "django_session")):
            rows = superuser.execute(
                sql.SQL("SELECT row_to_json(t)::text FROM {} t").format(sql.Identifier(*table))
            ).fetchall()
            assert not [row for (row,) in rows if person in row or person.encode().hex() in row]


def test_an_officer_takes_an_erasure_back_also_after_it_was_approved() -> None:
    person, second = factories.patient(), officer()
    erasure = erasure_make(person=person)
    send(second, f"{ERASURES}_approve", approve_form(erasure, person), erasure.id)
    erasure.refresh_from_db()
    cancelled = send(second, f"{ERASURES}_cancel", end_form(erasure), erasure.id)
    assert "Cancelled. Nothing was erased." in words(cancelled)
    assert told(erasure.id)[-1] == "privacy.erasure_cancelled"
    shown = words(signed_in(second).get(reverse(f"{ERASURES}_change", args=[erasure.id])))
    assert reverse(f"{ERASURES}_approve", args=[erasure.id]) not in shown
    assert reverse(f"{ERASURES}_cancel", args=[erasure.id]) not in shown


def test_a_hold_is_set_on_a_person_and_released_and_stops_an_erasure_meanwhile() -> None:
    person, keeper, asker = factories.patient(), officer(), officer()
    assert "The hold is in force." in words(send(keeper, f"{HOLDS}_set", hold_form(person=person)))
    hold = LegalHold.objects.get(set_by=keeper.id)
    refused = send(asker, f"{ERASURES}_request", request_form(person))
    assert f"A legal hold forbids to erase this person: {hold.id} (matter 2026-CV-117)" in words(refused)
    assert refusals(asker.id) == [("erasure.request", "legal-hold")]
    assert not Erasure.objects.filter(requested_by=asker.id).exists()

    offered = signed_in(keeper).get(reverse(f"{HOLDS}_release", args=[hold.id]))
    released = send(keeper, f"{HOLDS}_release", end_form(hold, shown=shown_in(offered)), hold.id)
    assert "Released." in words(released)
    assert told(hold.id) == ["hold.set", "hold.released"]
    for page in (offered, released):
        assert person not in words(page)
    assert "Asked for." in words(send(asker, f"{ERASURES}_request", request_form(person)))


def test_a_hold_on_a_log_is_said_on_every_page_of_erasures() -> None:
    keeper = officer()
    erasure = erasure_make()
    send(keeper, f"{HOLDS}_set", hold_form(on="access", matter="2026-CV-200"))
    hold = LegalHold.objects.get(matter="2026-CV-200")
    said = "A legal hold on the access log (matter 2026-CV-200) forbids every erasure until it ends."
    pages = (reverse(f"{ERASURES}_changelist"), reverse(f"{ERASURES}_change", args=[erasure.id]))
    assert all(said in words(signed_in(keeper).get(page)) for page in pages)
    send(keeper, f"{HOLDS}_release", end_form(hold), hold.id)
    assert not any(said in words(signed_in(keeper).get(page)) for page in pages)


# --- Who sees, who acts -----------------------------------------------------------------------------------------------
PAGES = (
    (f"{ERASURES}_changelist", None),
    (f"{ERASURES}_request", None),
    (f"{ERASURES}_change", Erasure),
    (f"{ERASURES}_approve", Erasure),
    (f"{ERASURES}_cancel", Erasure),
    (f"{HOLDS}_changelist", None),
    (f"{HOLDS}_set", None),
    (f"{HOLDS}_change", LegalHold),
    (f"{HOLDS}_release", LegalHold),
)


@dataclass(frozen=True)
class Orders:
    """An erasure and a hold that nobody changes.

    Attributes:
        erasure: The erasure, which waits.
        hold: The hold, in force.
        asker: Who asked for the erasure.
        person: Whom the erasure is about.
    """

    erasure: Erasure
    hold: LegalHold
    asker: User
    person: str

    def address(self, page: str, model: type | None) -> str:
        order = self.erasure if model is Erasure else self.hold
        return reverse(page, args=[] if model is None else [order.pk])


@pytest.fixture(scope="module")
def orders(database: Database) -> Orders:
    asker, person = officer_make(), factories.patient()
    return Orders(erasure_make(asker, person), hold_make(), asker.user, person)


ACCOUNTS: dict[str, tuple[Callable[[], User], bool, bool]] = {
    "privacy officer": (officer, True, True),
    "compliance officer": (lambda: factories.person(Role.COMPLIANCE), True, False),
    "auditor": (lambda: factories.person(Role.AUDITOR), True, False),
    "superuser": (factories.administrator, True, False),
    "engineer": (lambda: factories.person(Role.ENGINEER), False, False),
    "model risk officer": (lambda: factories.person(Role.MODEL_RISK), False, False),
    "nobody in particular": (factories.person, False, False),
}


@pytest.mark.parametrize("who", ACCOUNTS)
def test_each_sees_and_may_do_what_the_role_needs_and_no_more(who: str, orders: Orders) -> None:
    make, sees, acts = ACCOUNTS[who]
    account = make()
    site = signed_in(account)
    for page, model in PAGES:
        response = site.get(orders.address(page, model))
        assert response.status_code == (200 if sees else 403), page
        steps = page.endswith(("_request", "_approve", "_cancel", "_set", "_release"))
        assert ('name="password"' in words(response)) == (steps and acts), page
    home = words(site.get(reverse("admin:index")))
    assert (reverse(f"{ERASURES}_changelist") in home) == sees
    assert (orders.erasure.id in home) == sees
    assert (f'href="{reverse(f"{ERASURES}_approve", args=[orders.erasure.id])}"' in home) == acts
    logged = {(look.kind, look.identity, look.page) for look in looks(account)} - {("decision", "list", "dashboard")}
    assert len(logged) == (len(PAGES) if sees else 0)


@pytest.mark.parametrize("who", [name for name, (_, _, acts) in ACCOUNTS.items() if not acts])
def test_who_is_no_privacy_officer_is_refused_whatever_is_sent(who: str, orders: Orders) -> None:
    make, sees, _ = ACCOUNTS[who]
    account, site = make(), None
    site = signed_in(account)
    sent = (
        (f"{ERASURES}_request", None, request_form(factories.patient()), "erasure.request", account.id),
        (f"{ERASURES}_approve", Erasure, approve_form(orders.erasure, orders.person), "erasure.approve", None),
        (f"{ERASURES}_cancel", Erasure, end_form(orders.erasure), "erasure.cancel", None),
        (f"{HOLDS}_set", None, hold_form(person=factories.patient()), "hold.set", account.id),
        (f"{HOLDS}_release", LegalHold, end_form(orders.hold), "hold.release", None),
    )
    for page, model, form, step, subject in sent:
        about = subject or (orders.erasure.id if model is Erasure else orders.hold.id)
        before = refusals(about)
        response = site.post(orders.address(page, model), form)
        assert response.status_code == (200 if sees else 403)
        if sees:
            assert f"Not done. {account.printed_name} is not a privacy officer." in words(response)
        assert refusals(about)[len(before) :] == ([(step, "separation-of-duties")] if sees else [])
    assert Erasure.objects.get(pk=orders.erasure.pk).state == ErasureState.REQUESTED
    assert LegalHold.objects.get(pk=orders.hold.pk).released_at is None
    assert not Erasure.objects.filter(requested_by=account.id).exists()
    assert not LegalHold.objects.filter(set_by=account.id).exists()


# --- What goes wrong --------------------------------------------------------------------------------------------------
def test_who_asked_cannot_approve(orders: Orders) -> None:
    form = approve_form(orders.erasure, orders.person)
    before = refusals(orders.erasure.id)
    answered = words(send(orders.asker, f"{ERASURES}_approve", form, orders.erasure.id))
    assert "asked for this erasure and so cannot approve it; ask another privacy officer" in answered
    assert refusals(orders.erasure.id)[len(before) :] == [("erasure.approve", "separation-of-duties")]
    assert Erasure.objects.get(pk=orders.erasure.pk).state == ErasureState.REQUESTED


FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "another person": ("approve", {"person": "MRN-somebody-else"}, "is about another person than the one given"),
    "the person in other letters": ("approve", {"person": "mrn"}, "is about another person than the one given"),
    "no person": ("approve", {"person": ""}, "This field is required."),
    "wrong password to approve": ("approve", {"password": "a guess"}, "is missing or wrong; give it afresh"),
    "no password to approve": ("approve", {"password": ""}, "This field is required."),
    "an order that was not shown": ("approve", {"shown": "sha256:" + "0" * 64}, "is not what was shown"),
    "wrong password to cancel": ("cancel", {"password": "a guess"}, "is missing or wrong; give it afresh"),
    "no reason to cancel": ("cancel", {"reason": "because"}, "Say why in at least 20 characters."),
    "a cancellation of what was not shown": ("cancel", {"shown": "sha256:0"}, "is not what was shown"),
    "a reason that names the person": ("cancel", {"reason": "{person} asked us to keep everything."}, "identifier"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_officer_who_gets_something_wrong_is_told_what_and_nothing_happens(fault: str, orders: Orders) -> None:
    step, changes, reason = FAULTS[fault]
    changes = {name: value.format(person=orders.person) for name, value in changes.items()}
    base = approve_form(orders.erasure, orders.person) if step == "approve" else end_form(orders.erasure)
    answered = words(send(officer(), f"{ERASURES}_{step}", base | changes, orders.erasure.id))
    assert reason in answered
    assert 'name="password"' in answered  # and can try again
    assert PASSWORD not in answered
    assert Erasure.objects.get(pk=orders.erasure.pk).state == ErasureState.REQUESTED


REQUEST_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody whom we know": ({"person": "MRN-nobody"}, "Nothing is kept about that person"),
    "a ground of one's own": ({"basis": "because"}, "Select a valid choice."),
    "a reason that names the person": ({"reason": "{person} has withdrawn consent."}, "holds the person's identifier"),
    "a short reason": ({"reason": "asked"}, "Say why in at least 20 characters."),
    "a wrong password": ({"password": "a guess"}, "is missing or wrong; give it afresh"),
    "an endless identifier": ({"person": "x" * 2000}, "/person must be the person's identifier"),
}


@pytest.mark.parametrize("fault", REQUEST_FAULTS)
def test_a_request_that_is_wrong_is_refused_in_words_and_the_right_one_goes_through(fault: str) -> None:
    changes, reason = REQUEST_FAULTS[fault]
    asker, person = officer(), factories.patient()
    wrong = {name: value.format(person=person) for name, value in changes.items()}
    assert reason in words(send(asker, f"{ERASURES}_request", request_form(person) | wrong))
    assert not Erasure.objects.filter(requested_by=asker.id).exists()
    assert "Asked for." in words(send(asker, f"{ERASURES}_request", request_form(person)))
    again = words(send(officer(), f"{ERASURES}_request", request_form(person)))
    assert "asks for that already" in again


HOLD_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a person without identifier": ({"person": ""}, "A hold on one person needs the identifier."),
    "a log with an identifier": ({"on": "access"}, "A hold on a whole log is on nobody in particular"),
    "a log that is none": ({"on": "journal", "person": ""}, "Select a valid choice."),
    "no matter": ({"matter": " "}, "This field is required."),
    "a matter that names the person": ({"matter": "Estate of {person}"}, "holds the person's identifier"),
    "a wrong password": ({"password": "a guess"}, "is missing or wrong; give it afresh"),
}


@pytest.mark.parametrize("fault", HOLD_FAULTS)
def test_a_hold_that_is_wrong_is_refused_in_words_and_the_right_one_is_set(fault: str) -> None:
    changes, reason = HOLD_FAULTS[fault]
    keeper, person = officer(), factories.patient()
    wrong = {name: value.format(person=person) for name, value in changes.items()}
    assert reason in words(send(keeper, f"{HOLDS}_set", hold_form(person=person) | wrong))
    assert not LegalHold.objects.filter(set_by=keeper.id).exists()
    assert "The hold is in force." in words(send(keeper, f"{HOLDS}_set", hold_form(person=person)))


def test_an_order_that_changed_while_an_officer_read_is_not_acted_on() -> None:
    person, reader, other = factories.patient(), officer(), officer()
    erasure = erasure_make(person=person)
    form = approve_form(erasure, person)
    send(other, f"{ERASURES}_cancel", end_form(erasure), erasure.id)
    assert "it changed meanwhile; look at it again" in words(send(reader, f"{ERASURES}_approve", form, erasure.id))
    assert refusals(erasure.id) == [("erasure.approve", "state-conflict")]


def test_what_is_over_cannot_be_ended_again() -> None:
    keeper = officer()
    hold = hold_make()
    send(keeper, f"{HOLDS}_release", end_form(hold), hold.id)
    hold.refresh_from_db()
    assert "was released at" in words(send(keeper, f"{HOLDS}_release", end_form(hold), hold.id))
    assert told(hold.id) == ["hold.set", "hold.released", "privacy.refused"]


def test_an_approved_erasure_that_the_ledger_does_not_back_is_said_not_to_be_carried_out(database: Database) -> None:
    person, reader = factories.patient(), officer()
    erasure = erasure_make(person=person)
    page = reverse(f"{ERASURES}_change", args=[erasure.id])
    said = "The ledger does not hold the two entries of two officers for it, so it is not carried out."
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute(
            "UPDATE audit_erasure SET state = 'approved', approved_by = 'usr_x', approved_at = now(), "
            "approval_event = 'evt_none' WHERE id = %s",
            (erasure.id,),
        )
    assert said in words(signed_in(reader).get(page))
    send(reader, f"{ERASURES}_cancel", end_form(Erasure.objects.get(pk=erasure.pk)), erasure.id)
    assert said not in words(signed_in(reader).get(page))


def test_another_site_cannot_make_an_officers_browser_act(orders: Orders) -> None:
    browser = Client(SERVER_NAME="127.0.0.1", enforce_csrf_checks=True)
    browser.force_login(officer())
    for page, model, form in (
        (f"{ERASURES}_approve", Erasure, approve_form(orders.erasure, orders.person)),
        (f"{HOLDS}_release", LegalHold, end_form(orders.hold)),
    ):
        assert browser.post(orders.address(page, model), form).status_code == 403
    assert Erasure.objects.get(pk=orders.erasure.pk).state == ErasureState.REQUESTED
    assert LegalHold.objects.get(pk=orders.hold.pk).released_at is None
