"""Reading controls through the API, the admin and the command: as of a day, with marks, and every look logged."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import factories
import pytest
from admin_records import Look, looks, signed_in
from api_driver import API, Api, changes, require, require_problem, snapshot
from conftest import Database
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from audit.models import Entry
from governance.controls.facts import PHI_FACT, SYSTEM_FACTS
from governance.controls.reading import installed_catalogue, installed_texts
from governance.controls.vocabulary import Trust
from governance.enums import Role, Scope
from governance.models import AiSystem, User
from governance.selectors import control_evaluation

REASON = "Orders underwriting work; within the bank's model risk policy."


@pytest.fixture(scope="module")
def owner(database: Database) -> User:
    return factories.person(Role.MODEL_RISK)


@pytest.fixture
def system(owner: User) -> AiSystem:
    return factories.model_version(owner).model.system


# --- The API ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def api(owner: User) -> Api:
    return Api(factories.token(owner))


def viewed(user: User) -> list[tuple[str, str]]:
    entries = Entry.objects.filter(actor_id=user.id, event_type="record.viewed").order_by("body_id")
    return [(entry.subject_kind, entry.subject_id) for entry in entries]


@pytest.mark.parametrize(
    ("day", "old", "new"),
    [
        ("2026-04-16", ("MRM-legacy", "in_force"), ("MRM-scope", "unpublished")),
        ("2026-04-17", ("MRM-legacy", "superseded"), ("MRM-scope", "in_force")),
        ("2026-07-20", ("REGB-6-a-effects", "in_force"), ("REGB-6-a", "future")),
        ("2026-07-21", ("REGB-6-a-effects", "superseded"), ("REGB-6-a", "in_force")),
    ],
)
def test_the_catalogue_is_read_as_of_a_day_with_its_digest_and_its_marks(
    api: Api, owner: User, day: str, old: tuple[str, str], new: tuple[str, str]
) -> None:
    body = require(api.get("controls", as_of=day), 200)
    catalogue = installed_catalogue()
    assert (body["version"], body["digest"], body["as_of"]) == (catalogue.version, catalogue.digest.text, day)
    stands = {control["id"]: control["status"] for control in body["controls"]}
    assert (old[0], stands[old[0]]) == old
    assert (new[0], stands[new[0]]) == new
    assert {(control["trust"], control["trust_words"]) for control in body["controls"]} == {
        (trust.value, trust.words) for trust in Trust
    }
    assert viewed(owner)[-1] == ("control_catalogue", catalogue.version)


def test_a_system_is_evaluated_by_id_and_by_short_name_and_each_look_is_logged(
    api: Api, system: AiSystem, owner: User
) -> None:
    answer = api.post(f"systems/{system.slug}/declarations", {"facts": factories.DECLARED, "reason": REASON})
    declared = require(answer, 201)
    assert (declared["number"], declared["facts"], declared["declared_by"]) == (
        1,
        factories.DECLARED,
        owner.printed_name,
    )
    one = require(api.get(f"systems/{system.id}/controls", as_of="2026-12-01"), 200)
    other = require(api.get(f"systems/{system.slug}/controls", as_of="2026-12-01"), 200)
    assert one == other
    assert one["digest"] == control_evaluation(system=system, as_of=date(2026, 12, 1)).digest.text
    assert sum(one["counts"].values()) == len(one["results"]) == len(installed_catalogue().controls)
    assert not one["checked"]
    assert all(item["trust_words"] and item["reason"] for item in one["results"])
    assert require(api.get(f"systems/{system.id}/declarations"), 200) == [declared]
    assert viewed(owner)[-3:] == [("system", system.id)] * 3


def test_today_is_the_day_when_none_is_named(api: Api, system: AiSystem) -> None:
    body = require(api.get(f"systems/{system.id}/controls"), 200)
    assert date.fromisoformat(body["as_of"]) - datetime.now(UTC).date() in (timedelta(0), timedelta(days=-1))


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("controls?as_of=2024-12-31", 422, "date-not-covered"),
        ("controls?as_of=9999-12-31", 422, "date-not-covered"),
        ("controls?as_of=yesterday", 400, "validation-failed"),
        ("controls?as_of=2026-02-30", 400, "validation-failed"),
        ("controls?asof=2026-04-17", 400, "validation-failed"),
        ("systems/none/controls", 404, "unknown-record"),
        ("systems/none/declarations", 404, "unknown-record"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_and_no_look(
    api: Api, owner: User, address: str, status: int, code: str
) -> None:
    before = viewed(owner)
    require_problem(api.call("GET", API + address), status, code)
    assert viewed(owner) == before


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"facts": {"jurisdictions": ["USA"]}, "reason": "r"}, (422, "declaration-invalid", "/facts/jurisdictions")),
        ({"facts": {"in_scope": "true"}, "reason": "r"}, (422, "declaration-invalid", "/facts/in_scope")),
        ({"facts": {"in_skope": True}, "reason": "r"}, (400, "validation-failed", "/facts/in_skope")),
        ({"facts": {"contains_phi": True}, "reason": "r"}, (400, "validation-failed", "/facts/contains_phi")),
        ({"facts": {}}, (400, "validation-failed", "/reason")),
        ({"facts": {}, "reason": ""}, (400, "validation-failed", "/reason")),
        ({"reason": "r"}, (400, "validation-failed", "/facts")),
        ({"facts": [], "reason": "r"}, (400, "validation-failed", "/facts")),
    ],
)
def test_a_declaration_with_a_fault_is_refused_with_its_place(
    database: Database, api: Api, system: AiSystem, body: Any, refusal: tuple[int, str, str]
) -> None:
    before = snapshot(database)
    problem = require_problem(api.post(f"systems/{system.id}/declarations", body), *refusal[:2])
    assert problem["errors"][0]["pointer"] == refusal[2]
    assert not changes(before, snapshot(database))


def test_every_fact_can_be_declared_over_the_api_and_is_described(api: Api, owner: User) -> None:
    schemas = require(api.call("GET", "/openapi.json?format=json"), 200)["components"]["schemas"]
    (described,) = (schema for name, schema in schemas.items() if name.startswith("Facts"))
    assert set(described["properties"]) == set(SYSTEM_FACTS) - {PHI_FACT}
    kinds = {name: described["properties"][name]["type"] for name in ("in_scope", "eu_ai_act_class", "jurisdictions")}
    assert kinds == {"in_scope": "boolean", "eu_ai_act_class": "string", "jurisdictions": "array"}


def test_reading_needs_the_scope_for_it(owner: User, system: AiSystem) -> None:
    writer = Api(factories.token(owner, Scope.REGISTRY_WRITE))
    for path in ("controls", f"systems/{system.id}/controls", f"systems/{system.id}/declarations"):
        require_problem(writer.get(path), 403, "insufficient-scope")
    reader = Api(factories.token(owner, Scope.REGISTRY_READ))
    body = {"facts": factories.DECLARED, "reason": REASON}
    require_problem(reader.post(f"systems/{system.id}/declarations", body), 403, "insufficient-scope")


# --- The admin --------------------------------------------------------------------------------------------------------
def test_the_catalogue_is_shown_as_of_a_day_by_filter_and_each_look_is_logged() -> None:
    auditor = factories.person(Role.AUDITOR)
    site = signed_in(auditor)
    catalogue = installed_catalogue()
    everything = site.get(reverse("control_catalogue"), {"as_of": "2026-04-16"}).content.decode()
    assert f"{len(catalogue.controls)} of {len(catalogue.controls)} controls" in everything
    assert catalogue.digest.text in everything
    some = site.get(
        reverse("control_catalogue"), {"as_of": "2026-04-17", "framework": "mrm", "status": "superseded", "trust": "M"}
    ).content.decode()
    assert "9 of 177 controls" in some
    assert "superseded on 2026-04-17 by MRM-monitoring" in some
    assert "M: from memory, to be checked" in some
    one = site.get(reverse("control", args=["REGB-C1"])).content.decode()
    assert "Number of recent inquiries on credit bureau report" in one
    assert [(look.kind, look.identity, look.digest, look.page) for look in looks(auditor)] == [
        ("control_catalogue", catalogue.version, catalogue.digest.text, page)
        for page in ("controls", "controls", "controls/REGB-C1")
    ]


def test_the_controls_of_a_system_are_shown_with_reasons_and_marks(system: AiSystem, owner: User) -> None:
    factories.declaration(system, owner)
    auditor = factories.person(Role.AUDITOR)
    site = signed_in(auditor)
    address = reverse("admin:governance_aisystem_controls", args=[system.id])
    today = timezone.now().date().isoformat()
    shown = site.get(address, {"as_of": today}).content.decode()
    for words in (
        "adverse_action_reasons of",
        "M: from memory, to be checked",
        "evidence missing",
        "Orders underwriting work",
    ):
        assert words in shown
    assert "HIPAA-312-b" not in shown
    others = site.get(address, {"as_of": today, "outcome": "not_applicable"}).content.decode()
    assert "holds protected health information: no; the control is for yes" in others
    assert looks(auditor) == [Look("record.viewed", "system", system.id, None, "controls")] * 2
    page = site.get(reverse("admin:governance_aisystem_change", args=[system.id])).content.decode()
    assert address in page
    assert "Supplied by a vendor" not in page
    assert "supplied by a vendor" in page  # among what is not declared


@pytest.mark.parametrize("asked", ["yesterday", "2024-12-31", "2026-02-30", "9999-12-31"])
def test_a_day_that_cannot_be_shown_is_said_and_today_is_shown(system: AiSystem, asked: str) -> None:
    site = signed_in(factories.person(Role.AUDITOR))
    for address in (reverse("control_catalogue"), reverse("admin:governance_aisystem_controls", args=[system.id])):
        response = site.get(address, {"as_of": asked})
        assert response.status_code == 200
        assert "Shown is today." in response.content.decode()


def test_the_catalogue_is_closed_to_strangers_and_to_whoever_has_no_role(system: AiSystem) -> None:
    addresses = (reverse("control_catalogue"), reverse("control", args=["REGB-C1"]))
    nobody = factories.person()
    for address in addresses:
        assert signed_in(nobody).get(address).status_code == 403
        assert "/admin/login/" in Api(None).call("GET", address)["Location"]
        assert signed_in(factories.person(Role.AUDITOR)).post(address).status_code == 405
    assert looks(nobody) == []
    assert signed_in(factories.person(Role.AUDITOR)).get(reverse("control", args=["NONE"])).status_code == 404


# --- The command ------------------------------------------------------------------------------------------------------
def test_the_command_prints_version_digest_and_how_controls_stand(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("controls_check", "--as-of", "2026-04-16")
    said = capsys.readouterr().out
    catalogue = installed_catalogue()
    for words in (
        catalogue.version,
        catalogue.digest.text,
        "177 of 16 frameworks",
        "9 unpublished (guidance)",
        "faults      none",
    ):
        assert words in said


def test_the_command_names_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = installed_texts()
    texts["mrm.toml"] = texts["mrm.toml"].replace('["risk_tier"]', '["risk_teir"]')
    monkeypatch.setattr("governance.management.commands.controls_check.installed_texts", lambda: texts)
    with pytest.raises(CommandError, match=r'mrm[.]toml: MRM-materiality: evidence: "risk_teir"'):
        call_command("controls_check")
