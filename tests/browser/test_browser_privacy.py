"""Two privacy officers in real browsers, on the running product: they have a patient forgotten, and keep another."""

from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from windows import run_beside, signed_in, told_by

from config.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]

REASON = "The patient withdrew the consent that was the only ground."


@pytest.fixture(scope="module")
def clinic(stack: Stack) -> dict[str, Any]:
    """Two patients, two officers and an engineer."""
    told: dict[str, Any] = told_by(stack, "clinic.py")
    return told


def officer(window: BrowserContext, clinic: dict[str, Any], number: int) -> Page:
    return signed_in(window, clinic["officers"][number]["username"], clinic["password"])


def set_hold(page: Page, clinic: dict[str, Any], person: str, matter: str) -> None:
    page.goto("/admin/audit/legalhold/")
    page.get_by_role("link", name="Set a hold").click()
    page.get_by_label("The person's identifier").fill(person)
    page.get_by_label("Matter").fill(matter)
    page.get_by_label("Your reason").fill("The records are wanted as evidence in this matter.")
    page.get_by_label("Your password").fill(clinic["password"])
    page.get_by_role("button", name="Set the hold").click()
    expect(page.get_by_text("The hold is in force.")).to_be_visible()


def ask(page: Page, clinic: dict[str, Any], person: str) -> None:
    page.goto("/admin/audit/erasure/")
    page.get_by_role("link", name="Ask for an erasure").click()
    page.get_by_label("The person's identifier").fill(person)
    page.get_by_label("Legal basis").select_option("gdpr-17-1-b")
    page.get_by_label("Your reason").fill(REASON)
    page.get_by_label("Your password").fill(clinic["password"])
    page.get_by_role("button", name="Ask for the erasure").click()


def test_two_officers_have_a_patient_forgotten_and_see_what_came_of_it(
    browser: Browser, window: BrowserContext, clinic: dict[str, Any], stack: Stack
) -> None:
    patient = clinic["patients"][0]
    first = officer(window, clinic, 0)
    ask(first, clinic, patient)
    expect(first.get_by_text("Asked for. Another privacy officer has to approve it now.")).to_be_visible()
    expect(first.get_by_text(f"You cannot approve it: {clinic['officers'][0]['name']} asked for this")).to_be_visible()
    expect(first.get_by_role("link", name="Approve")).to_have_count(0)
    order = first.locator(".mn-page h2").inner_text().split()[0]

    other = browser.new_context(base_url=stack.services.environment()["PUBLIC_URL"])
    second = officer(other, clinic, 1)
    second.get_by_role("row").filter(has_text=order).get_by_role("link", name="Review and approve").click()
    expect(second.get_by_text(REASON)).to_be_visible()
    second.get_by_label("The person's identifier").fill(clinic["patients"][1])
    second.get_by_label("Your password").fill(clinic["password"])
    second.get_by_role("button", name="Approve the erasure").click()
    expect(second.get_by_role("alert")).to_contain_text("is about another person than the one given")
    second.get_by_label("The person's identifier").fill(patient)
    second.get_by_label("Your password").fill(clinic["password"])
    second.get_by_role("button", name="Approve the erasure").click()
    expect(second.get_by_text("Approved. It is carried out when the operator rotates the keys.")).to_be_visible()
    expect(second.get_by_text("python manage.py subject_keys_rotate")).to_be_visible()

    run_beside(stack, "manage.py", "subject_keys_rotate", DJANGO_DATABASE_ROLE="migrator")
    second.reload()
    expect(second.locator("#result")).to_contain_text("Keys")
    expect(second.locator(".mn-head")).to_contain_text("Erased")
    expect(second.locator("#in-the-ledger")).to_contain_text("privacy.erased")
    assert patient not in second.content()
    other.close()
    ask(first, clinic, patient)
    expect(first.get_by_role("alert")).to_contain_text("Nothing is kept about that person")


def test_a_patient_whose_data_a_court_wants_is_kept_until_the_hold_is_released(
    window: BrowserContext, clinic: dict[str, Any]
) -> None:
    page, patient = officer(window, clinic, 0), clinic["patients"][1]
    set_hold(page, clinic, patient, "2026-CV-117")
    assert patient not in page.content()
    ask(page, clinic, patient)
    expect(page.get_by_role("alert")).to_contain_text("A legal hold forbids to erase this person")
    expect(page.get_by_role("alert")).to_contain_text("matter 2026-CV-117")

    page.goto("/admin/audit/legalhold/")
    row = page.get_by_role("row").filter(has_text="2026-CV-117")
    expect(row).to_contain_text("In force")
    row.get_by_role("link").first.click()
    page.get_by_role("link", name="Release it").click()
    page.get_by_label("Your reason").fill("The matter was settled and nothing has to be kept.")
    page.get_by_label("Your password").fill(clinic["password"])
    page.get_by_role("button", name="Release the hold").click()
    expect(page.get_by_text("Released.", exact=True)).to_be_visible()
    ask(page, clinic, patient)
    expect(page.get_by_text("Asked for. Another privacy officer has to approve it now.")).to_be_visible()


def test_an_engineer_is_offered_none_of_it(window: BrowserContext, clinic: dict[str, Any]) -> None:
    page = signed_in(window, clinic["engineer"], clinic["password"])
    expect(page.get_by_role("link", name="Approval inbox")).to_be_visible()
    for name in ("Erasures", "Legal holds"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    for path in ("erasure", "legalhold"):
        answer = page.goto(f"/admin/audit/{path}/")
        assert answer is not None
        assert answer.status == 403


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(
    browser: Browser, stack: Stack, clinic: dict[str, Any], width: int, scheme: Any
) -> None:
    address = stack.services.environment()["PUBLIC_URL"]
    context = browser.new_context(base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = officer(context, clinic, 1)
    for path in ("erasure/", "erasure/request/", "legalhold/", "legalhold/set/"):
        page.goto(f"/admin/audit/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
