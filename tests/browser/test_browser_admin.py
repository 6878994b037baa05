"""The admin in a real browser, on the running product: the officer signs, the author cannot."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from windows import code_now, signed_in, told_by

from config.stack import Stack
from modelnotary.verify.decision import verify_decision
from modelnotary.verify.result import ExitCode
from modelnotary.verify.trust import TRUST_FILE, Trust

pytestmark = [pytest.mark.browser, pytest.mark.stack]

REASON = "Ranks well enough on rows it has not seen; I looked at the evidence."


@pytest.fixture(scope="module")
def cases(stack: Stack) -> list[dict[str, Any]]:
    """Decisions that wait for one signature each, and the people around them. Tests sign the first and the last."""
    told: list[dict[str, Any]] = told_by(stack, "waiting_decisions.py", "3")
    return told


@pytest.fixture
def case(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """The decision that nobody signs."""
    return cases[1]


def test_an_officer_sees_why_signs_with_password_and_code_and_sees_it_passed(
    window: BrowserContext, cases: list[dict[str, Any]], stack: Stack, tmp_path: Path
) -> None:
    case = cases[0]
    page = signed_in(window, case["officer"]["username"], case["password"])
    waiting = page.get_by_role("row").filter(has_text=case["version"])
    expect(waiting).to_contain_text("0 of 1")
    waiting.get_by_role("link", name="Review and sign").click()

    rule = page.get_by_role("row").filter(has_text="PERF-001")
    expect(rule).to_contain_text("0.84")
    expect(rule).to_contain_text(">= 0.75")
    expect(rule).to_contain_text("pass")
    expect(page.get_by_text("Pending approval").first).to_be_visible()

    page.get_by_role("link", name="Approve").click()
    expect(page.get_by_text("I have reviewed the evidence and approve this use.").last).to_be_visible()
    expect(page.locator("#sign")).to_contain_text(case["evidence_set"])
    page.get_by_label("Your reason").fill(REASON)
    page.get_by_label("Your password").fill("not the password")
    page.get_by_label("Code of your authenticator app").fill(code_now(case["officer"]["device"]))
    page.get_by_role("button", name="Sign: approve").click()
    expect(page.get_by_role("alert")).to_contain_text("The password or the code is missing or wrong")

    page.get_by_label("Your password").fill(case["password"])
    page.get_by_label("Code of your authenticator app").fill(code_now(case["officer"]["device"]))
    page.get_by_role("button", name="Sign: approve").click()
    expect(page.get_by_text("Signed: you approved this decision.")).to_be_visible()
    expect(page.locator(".mn-head")).to_contain_text("Passed")
    signature = page.locator("#signatures").get_by_role("row").filter(has_text=case["officer"]["name"])
    expect(signature).to_contain_text(REASON)
    expect(signature).to_contain_text("Compliance officer")
    expect(page.get_by_role("link", name="Approve")).to_have_count(0)

    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile(r"\bAttestation$")).first.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    report = verify_decision(file, Trust.from_file(stack.home / TRUST_FILE), now=datetime.now(UTC))
    assert report.exit_code is ExitCode.VERIFIED, report.checks


def test_an_officer_registers_a_passkey_and_signs_with_it(
    browser: Browser, cases: list[dict[str, Any]], stack: Stack
) -> None:
    """The browser's own authenticator makes the key and signs; the server and the ledger hold the public half."""
    case, address = cases[2], stack.services.environment()["PASSKEY_ORIGINS"]
    window = browser.new_context(base_url=address)
    page = signed_in(window, case["officer"]["username"], case["password"])
    devices = window.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
    devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": device | {"hasResidentKey": True, "automaticPresenceSimulation": True}},
    )

    page.goto("/admin/governance/passkey/")
    page.get_by_role("link", name="Register a passkey").click()
    page.get_by_label("Name of the device").fill("virtual key")
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Your password").fill(case["password"])
    page.get_by_label("Code of your authenticator app").fill(code_now(case["officer"]["device"]))
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_text("Registered. You can sign with this passkey.")).to_be_visible()

    page.goto(f"/admin/governance/decision/{case['decision']}/change/")
    page.get_by_role("link", name="Approve by passkey").click()
    page.get_by_label("Your reason").fill(REASON)
    page.get_by_role("button", name="Go on to the passkey").click()
    expect(page.get_by_text(case["evidence_set"])).to_be_visible()
    page.get_by_role("button", name="Sign: approve").click()
    expect(page.get_by_text("Signed: you approved this decision.")).to_be_visible()
    expect(page.locator(".mn-head")).to_contain_text("Passed")
    window.close()


def test_the_author_is_told_why_not_and_finds_no_form(window: BrowserContext, case: dict[str, Any]) -> None:
    page = signed_in(window, case["author"]["username"], case["password"])
    reason = f"{case['author']['name']} wrote the model version and so cannot approve it; ask someone else"
    expect(page.get_by_role("row").filter(has_text=case["version"])).to_contain_text(reason)

    page.goto(f"/admin/governance/decision/{case['decision']}/change/")
    expect(page.get_by_text(f"You cannot sign it: {reason}.")).to_be_visible()
    expect(page.get_by_role("link", name="Approve")).to_have_count(0)

    page.goto(f"/admin/governance/decision/{case['decision']}/approve/")
    expect(page.get_by_role("alert")).to_contain_text(reason)
    expect(page.get_by_label("Your password")).to_have_count(0)


def test_a_digest_is_copied_whole_though_it_is_shown_short(window: BrowserContext, case: dict[str, Any]) -> None:
    window.grant_permissions(["clipboard-read", "clipboard-write"])
    page = signed_in(window, case["officer"]["username"], case["password"])
    page.goto(f"/admin/governance/decision/{case['decision']}/change/")
    page.get_by_role("button", name=f"Copy {case['digest']}").first.click()
    assert page.evaluate("navigator.clipboard.readText()") == case["digest"]


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(
    browser: Browser, stack: Stack, case: dict[str, Any], width: int, scheme: Any
) -> None:
    address = stack.services.environment()["PUBLIC_URL"]
    context = browser.new_context(base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = signed_in(context, case["officer"]["username"], case["password"])
    for path in (
        "",
        f"governance/decision/{case['decision']}/change/",
        f"governance/decision/{case['decision']}/approve/",
    ):
        page.goto(f"/admin/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
