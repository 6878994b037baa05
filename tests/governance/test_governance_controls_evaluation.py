"""What becomes of a control for a system on a day: unknown is never not applicable, expired is never evidence."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.controls.conditions import Condition
from governance.controls.errors import DeclarationError
from governance.controls.evaluation import (
    ORGANIZATION,
    ControlResult,
    Evaluation,
    Evidence,
    SystemState,
    day_end,
    evaluate,
)
from governance.controls.facts import parse_facts
from governance.controls.places import reaches
from governance.controls.reading import installed_catalogue
from governance.controls.vocabulary import Outcome, Result, Status

CATALOGUE = installed_catalogue()
V1, V2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64
DAY = date(2026, 11, 20)
BANK: dict[str, Any] = {
    "jurisdictions": ["US-MA"],
    "in_scope": True,
    "decision_domains": ["credit"],
    "operator_roles": ["deployer", "provider"],
    "bank_supervised": True,
    "generative_ai": False,
    "vendor_supplied": False,
    "personal_data": False,
    "solely_automated": False,
    "special_category_data": False,
    "consumer_reports": False,
    "special_purpose_credit": False,
    "adopted_frameworks": [],
}
BANK_FACTS = parse_facts(BANK) | {"contains_phi": False}


def state(facts: dict[str, Any] = BANK_FACTS, *versions: str) -> SystemState:
    return SystemState("sys_1", facts, tuple((digest, f"denial {digest[7]}") for digest in versions or (V1,)))


def evidence(kind: str, result: Result | None = None, **changes: Any) -> Evidence:
    made = {
        "id": f"evd_{kind}_{result}",
        "type": kind,
        "digest": "sha256:" + "a" * 64,
        "subject": V1,
        "result": result,
        "measured": True,
        "deposited_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
    }
    return Evidence(**(made | changes))


def run(name: str, *given: Evidence, system: SystemState | None = None, on: date = DAY) -> ControlResult:
    return results(evaluate(CATALOGUE, system or state(), given, on))[name]


def results(evaluation: Evaluation) -> dict[str, ControlResult]:
    return {result.control.id: result for result in evaluation.results}


# --- On both sides of the dates ---------------------------------------------------------------------------------------
REVIEWED = (
    evidence("periodic_review", Result.PASS),
    evidence("conceptual_soundness", Result.PASS),
    evidence("explanation"),
    evidence("bias", Result.FAIL),
)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (
            date(2026, 4, 16),
            {
                "SR117-annual": Outcome.PASS,
                "SR117-conceptual": Outcome.PASS,
                "MRM-validation-cs": Outcome.NOT_APPLICABLE,
            },
        ),
        (
            date(2026, 4, 17),
            {
                "SR117-annual": Outcome.NOT_APPLICABLE,
                "SR117-conceptual": Outcome.NOT_APPLICABLE,
                "MRM-validation-cs": Outcome.PASS,
            },
        ),
        (
            date(2026, 7, 20),
            {"REGB-6-a-effects": Outcome.FAIL, "REGB-6-a": Outcome.NOT_APPLICABLE, "FAIRLEND-state": Outcome.FAIL},
        ),
        (
            date(2026, 7, 21),
            {
                "REGB-6-a-effects": Outcome.NOT_APPLICABLE,
                "REGB-6-a": Outcome.EVIDENCE_MISSING,
                "FAIRLEND-state": Outcome.FAIL,
            },
        ),
    ],
)
def test_the_same_evidence_is_judged_by_the_rules_of_the_day(day: date, expected: dict[str, Outcome]) -> None:
    found = results(evaluate(CATALOGUE, state(), REVIEWED, day))
    assert {name: found[name].outcome for name in expected} == expected


def test_a_rule_that_does_not_hold_on_the_day_says_since_or_until_when() -> None:
    day = date(2026, 4, 16)
    assert run("MRM-dev", on=day).reason == "not published before 2026-04-17"
    assert run("SR117-annual", on=date(2026, 4, 17)).reason == "superseded on 2026-04-17 by MRM-monitoring"
    assert run("CFPB-2022-03").reason == "withdrawn on 2025-05-12"
    assert run("HIPAA-NPRM").outcome is Outcome.NOT_APPLICABLE


HIGH_RISK = BANK_FACTS | {"jurisdictions": ("DE",), "eu_ai_act_class": "high_risk_annex_i"}


@pytest.mark.parametrize(
    ("day", "class_", "outcome", "said"),
    [
        (date(2027, 12, 1), "high_risk_annex_iii", Outcome.NOT_APPLICABLE, "decided; applies from 2027-12-02"),
        (date(2027, 12, 2), "high_risk_annex_iii", Outcome.EVIDENCE_MISSING, "risk_register of the system"),
        (date(2027, 12, 2), "high_risk_annex_i", Outcome.NOT_APPLICABLE, "applies to this system from 2028-08-02"),
        (date(2028, 8, 2), "high_risk_annex_i", Outcome.EVIDENCE_MISSING, "test_plan of denial 1"),
        (date(2028, 8, 2), "minimal", Outcome.NOT_APPLICABLE, "minimal; the control is for high_risk_annex_iii"),
        (date(2028, 8, 2), None, Outcome.INSUFFICIENT_DATA, "eu_ai_act_class is not declared"),
    ],
)
def test_duties_of_the_ai_act_begin_with_the_class_of_the_system(
    day: date, class_: str | None, outcome: Outcome, said: str
) -> None:
    facts = {name: value for name, value in (HIGH_RISK | {"eu_ai_act_class": class_}).items() if value is not None}
    result = run("AIA-9", system=state(facts), on=day)
    assert (result.outcome, said in result.reason) == (outcome, True), result.reason


# --- Applicability ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("control", "changed", "outcome", "said"),
    [
        ("HIPAA-312-b", {"contains_phi": None}, Outcome.INSUFFICIENT_DATA, "contains_phi is not declared"),
        ("HIPAA-312-b", {}, Outcome.NOT_APPLICABLE, "holds protected health information: no; the control is for yes"),
        ("HIPAA-312-b", {"contains_phi": True}, Outcome.EVIDENCE_MISSING, "ledger_verification of the organization"),
        ("HIPAA-312-b", {"contains_phi": True, "jurisdictions": None}, Outcome.INSUFFICIENT_DATA, "jurisdictions"),
        # One known no is enough, whatever else is not known.
        ("HIPAA-312-b", {"jurisdictions": None}, Outcome.NOT_APPLICABLE, "protected health information: no"),
        ("HIPAA-312-b", {"contains_phi": None, "jurisdictions": ("FR",)}, Outcome.NOT_APPLICABLE, "FR"),
        ("CO-notice", {"jurisdictions": ("US",)}, Outcome.INSUFFICIENT_DATA, "does not tell whether US-CO is part"),
        ("CO-notice", {"jurisdictions": ("US-MA",)}, Outcome.NOT_APPLICABLE, "US-MA; the control is for US-CO"),
        ("CO-notice", {"jurisdictions": ("US-CO", "US-MA")}, Outcome.EVIDENCE_MISSING, "notice of the system"),
        ("CO-notice", {"jurisdictions": ("US-CO",), "decision_domains": ("other",)}, Outcome.NOT_APPLICABLE, "other"),
        ("CO-notice", {"jurisdictions": ("US-CO",), "operator_roles": ()}, Outcome.NOT_APPLICABLE, "none; the control"),
        ("MRM-dev", {"in_scope": False}, Outcome.NOT_APPLICABLE, "in scope of model risk management"),
        ("MRM-scope", {"in_scope": False}, Outcome.EVIDENCE_MISSING, "inventory_record"),
        ("MRM-dev", {"generative_ai": True}, Outcome.NOT_APPLICABLE, "generative or agentic AI: yes"),
        # Nobody declares himself out of the law.
        ("REGB-9-b2", {"in_scope": False}, Outcome.EVIDENCE_MISSING, "adverse_action_reasons"),
        ("NIST-MAP-1.1", {}, Outcome.NOT_APPLICABLE, "frameworks that were adopted: none"),
        ("PCI-10.2.1", {"cardholder_data": True, "jurisdictions": None}, Outcome.EVIDENCE_MISSING, "access_log"),
        (
            "AIA-27",
            {"jurisdictions": ("EU",), "eu_ai_act_class": "high_risk_annex_iii"},
            Outcome.EVIDENCE_MISSING,
            "fria",
        ),
        (
            "AIA-27",
            {"jurisdictions": ("EU",), "eu_ai_act_class": "high_risk_annex_iii", "decision_domains": ("employment",)},
            Outcome.INSUFFICIENT_DATA,
            "public_body is not declared",
        ),
        ("GDPR-35", {"personal_data": True, "jurisdictions": ("EU",)}, Outcome.NOT_APPLICABLE, "without a person: no"),
    ],
)
def test_whether_a_control_applies_follows_from_declared_facts_alone(
    control: str, changed: dict[str, Any], outcome: Outcome, said: str
) -> None:
    facts = {name: value for name, value in (BANK_FACTS | changed).items() if value is not None}
    result = run(control, system=state(facts), on=date(2028, 1, 1))
    assert (result.outcome, said in result.reason) == (outcome, True), result.reason


def test_a_system_of_which_nothing_is_declared_is_never_told_that_a_control_does_not_apply() -> None:
    found = evaluate(CATALOGUE, state({}), REVIEWED, DAY).results
    in_force = [result for result in found if result.standing.status is Status.IN_FORCE]
    assert len(in_force) > 130
    assert {result.outcome for result in in_force} == {Outcome.INSUFFICIENT_DATA}


@pytest.mark.parametrize(
    ("area", "declared", "expected"),
    [
        ("US", ("US-CO",), True),
        ("US", ("DE", "US"), True),
        ("US", ("DE",), False),
        ("US-CO", ("US",), None),
        ("US-CO", ("US", "US-CO"), True),
        ("US-NY-NYC", ("US-NY",), None),
        ("US-NY-NYC", ("US-NJ",), False),
        ("EU", ("DE",), True),
        ("EU", ("EU",), True),
        ("EU", ("CH",), False),
        ("EU", ("GB", "US"), False),
    ],
)
def test_a_place_reaches_into_the_areas_that_it_is_part_of(
    area: str, declared: tuple[str, ...], expected: bool | None
) -> None:
    assert reaches(area, declared) is expected


_FACTS = ("contains_phi", "in_scope", "public_body")
_SYSTEMS = st.dictionaries(st.sampled_from(_FACTS), st.booleans())


@given(
    alternatives=st.lists(
        st.dictionaries(st.sampled_from(_FACTS), st.booleans(), min_size=1).map(lambda item: tuple(item.items())),
        max_size=3,
    ),
    known=_SYSTEMS,
    rest=st.fixed_dictionaries(dict.fromkeys(_FACTS, st.booleans())),
)
def test_what_is_answered_with_facts_missing_stays_so_whatever_they_turn_out_to_be(
    alternatives: list[Any], known: dict[str, bool], rest: dict[str, bool]
) -> None:
    condition = Condition(tuple(alternatives))
    answer = condition.ask(known)
    if answer.holds is not None:
        assert condition.ask(rest | known).holds is answer.holds
    assert condition.ask(rest).holds is not None


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"in_skope": True}, "/facts/in_skope"),
        ({"contains_phi": True}, "/facts/contains_phi"),  # of the registration, not of the declaration
        ({"in_scope": "yes"}, "/facts/in_scope"),
        ({"in_scope": 1}, "/facts/in_scope"),
        ({"in_scope": None}, "/facts/in_scope"),
        ({"jurisdictions": "US"}, "/facts/jurisdictions"),
        ({"jurisdictions": []}, "/facts/jurisdictions"),
        ({"jurisdictions": ["USA"]}, "/facts/jurisdictions"),
        ({"jurisdictions": ["PR"]}, "/facts/jurisdictions"),  # US-PR: it must not be taken for abroad
        ({"jurisdictions": [["US"]]}, "/facts/jurisdictions"),
        ({"decision_domains": ["loans"]}, "/facts/decision_domains"),
        ({"eu_ai_act_class": ["minimal"]}, "/facts/eu_ai_act_class"),
        ({"eu_ai_act_class": "low"}, "/facts/eu_ai_act_class"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_refused_with_its_place(facts: dict[str, object], place: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse_facts(facts)
    assert [fault.place for fault in caught.value.faults] == [place]


def test_a_declaration_has_one_form() -> None:
    once = parse_facts({"in_scope": True, "decision_domains": ["housing", "credit", "credit"]})
    assert once == parse_facts({"decision_domains": ["credit", "housing"], "in_scope": True})
    assert list(once) == ["decision_domains", "in_scope"]


# --- Evidence ---------------------------------------------------------------------------------------------------------
LATER = timedelta(days=1)
CONTROL = "FAIRLEND-state"  # asks for a bias assessment, which must state a verdict


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ([], Outcome.EVIDENCE_MISSING),
        ([evidence("performance", Result.PASS)], Outcome.EVIDENCE_MISSING),
        ([evidence("bias", Result.PASS, subject=V2)], Outcome.EVIDENCE_MISSING),
        ([evidence("bias", Result.PASS)], Outcome.PASS),
        ([evidence("bias", Result.FAIL)], Outcome.FAIL),
        ([evidence("bias", Result.INSUFFICIENT_DATA)], Outcome.INSUFFICIENT_DATA),
        ([evidence("bias", Result.NOT_APPLICABLE)], Outcome.INSUFFICIENT_DATA),
        ([evidence("bias")], Outcome.INSUFFICIENT_DATA),
        ([evidence("bias", Result.PASS), evidence("bias", Result.FAIL)], Outcome.FAIL),
        ([evidence("bias", Result.FAIL), evidence("bias", Result.PASS)], Outcome.FAIL),
        ([evidence("bias", Result.PASS), evidence("bias", Result.INSUFFICIENT_DATA)], Outcome.INSUFFICIENT_DATA),
        ([evidence("bias", Result.PASS, expires_at=day_end(DAY))], Outcome.EVIDENCE_MISSING),
        ([evidence("bias", Result.PASS, expires_at=day_end(DAY) + timedelta(seconds=1))], Outcome.PASS),
        ([evidence("bias", Result.FAIL, expires_at=day_end(DAY)), evidence("bias", Result.PASS)], Outcome.PASS),
        ([evidence("bias", Result.PASS, deposited_at=day_end(DAY))], Outcome.EVIDENCE_MISSING),
        ([evidence("bias", Result.PASS, deposited_at=day_end(DAY) - timedelta(microseconds=1))], Outcome.PASS),
    ],
)
def test_the_worst_evidence_counts_and_expired_or_later_evidence_is_none(
    given: list[Evidence], outcome: Outcome
) -> None:
    assert run(CONTROL, *given).outcome is outcome


def test_evidence_past_the_age_that_a_control_allows_is_none() -> None:
    system = state(BANK_FACTS | {"jurisdictions": ("US-NY-NYC",), "decision_domains": ("employment",)})
    audit = evidence("third_party_audit", Result.PASS)
    last = audit.deposited_at.date() + timedelta(days=364)
    assert run("LL144-annual", audit, system=system, on=last).outcome is Outcome.PASS
    result = run("LL144-annual", audit, system=system, on=last + timedelta(days=1))
    assert result.outcome is Outcome.EVIDENCE_MISSING
    assert result.considered[0].why == f"{audit.id} of 2026-03-01 is older than 365 days"
    assert not result.considered[0].counted


def test_each_version_in_use_needs_its_own_evidence_and_the_worst_counts() -> None:
    both = state(BANK_FACTS, V1, V2)
    good = evidence("bias", Result.PASS)
    result = run(CONTROL, good, system=both)
    assert (result.outcome, result.reason) == (Outcome.EVIDENCE_MISSING, "bias of denial 2 is missing")
    assert [(item.type, item.about) for item in result.missing] == [("bias", "denial 2")]
    bad = evidence("bias", Result.FAIL, subject=V2)
    result = run(CONTROL, good, bad, system=both)
    assert (result.outcome, result.reason) == (Outcome.FAIL, f"bias {bad.id} says fail")
    assert len(result.considered) == 2


def test_a_system_without_a_version_lacks_evidence_about_one() -> None:
    empty = SystemState("sys_1", BANK_FACTS, ())
    result = run(CONTROL, system=empty)
    assert result.outcome is Outcome.EVIDENCE_MISSING
    assert "none is registered" in result.reason


def test_evidence_of_the_system_and_of_the_organization_is_not_that_of_a_version() -> None:
    kept = evidence("retention_schedule", subject=ORGANIZATION)
    assert run("REGB-12-b", kept).outcome is Outcome.PASS
    assert run("REGB-12-b", replace(kept, subject=V1)).outcome is Outcome.EVIDENCE_MISSING
    notice = evidence("adverse_action_notice", subject="sys_1")
    assert run("REGB-9-a1", notice).outcome is Outcome.PASS
    assert run("REGB-9-a1", replace(notice, subject="sys_2")).outcome is Outcome.EVIDENCE_MISSING


def test_a_type_that_nothing_deposits_yet_is_missing_by_its_name() -> None:
    result = run("REGB-9-b2-c2-4", evidence("explanation"))
    assert result.outcome is Outcome.EVIDENCE_MISSING
    assert result.reason == "adverse_action_reasons of denial 1 is missing"
    assert [item.why for item in result.considered] == ["explanation evd_explanation_None is there"]


# --- Replay -----------------------------------------------------------------------------------------------------------
def test_the_same_inputs_give_the_same_digest_in_any_order_and_later_evidence_changes_nothing() -> None:
    first = evaluate(CATALOGUE, state(BANK_FACTS, V1, V2), REVIEWED, DAY)
    later = evidence("bias", Result.PASS, id="evd_later", deposited_at=day_end(DAY))
    facts = dict(reversed(BANK_FACTS.items()))
    again = evaluate(CATALOGUE, state(facts, V2, V1), (*reversed(REVIEWED), later), DAY)
    assert (again.inputs_digest, again.digest) == (first.inputs_digest, first.digest)
    assert first.catalogue_digest == CATALOGUE.digest
    assert len(first.results) == len(CATALOGUE.controls)


@pytest.mark.parametrize(
    "other",
    [
        evaluate(CATALOGUE, state(), REVIEWED, DAY + LATER),
        evaluate(CATALOGUE, state(BANK_FACTS | {"in_scope": False}), REVIEWED, DAY),
        evaluate(CATALOGUE, state(BANK_FACTS, V2), REVIEWED, DAY),
        evaluate(CATALOGUE, state(), REVIEWED[1:], DAY),
        evaluate(CATALOGUE, state(), (replace(REVIEWED[0], digest="sha256:" + "b" * 64), *REVIEWED[1:]), DAY),
        evaluate(replace(CATALOGUE, version="other"), state(), REVIEWED, DAY),
    ],
    ids=["day", "facts", "versions", "less evidence", "other evidence", "catalogue"],
)
def test_another_input_gives_another_digest(other: Evaluation) -> None:
    assert other.digest != evaluate(CATALOGUE, state(), REVIEWED, DAY).digest


def test_a_day_after_the_last_check_of_the_catalogue_is_marked() -> None:
    assert evaluate(CATALOGUE, state(), (), CATALOGUE.checked_on).checked
    assert not evaluate(CATALOGUE, state(), (), CATALOGUE.checked_on + LATER).checked
