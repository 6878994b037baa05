"""What is declared of a system and decides which controls apply. What is not declared is unknown, never false."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance.controls.errors import DeclarationError, Fault
from governance.controls.places import KNOWN_PLACES, PLACE_WORDS
from modelnotary.ledger.canonical import Json


class FactKind(StrEnum):
    """The values a fact can have."""

    TRUTH = "truth"
    CHOICE = "choice"
    SET = "set"
    PLACES = "places"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its kind, what it says in words, and its values where they are a closed list."""

    kind: FactKind
    label: str
    choices: tuple[str, ...] = ()


type FactValue = bool | int | str | tuple[str, ...]
type Facts = Mapping[str, FactValue]

COUNT_LIMIT = 2**53 - 1
"""The largest number that JSON holds exactly (RFC 8785)."""
PLACE_FACT = "jurisdictions"
PHI_FACT = "contains_phi"


def _truth(label: str) -> Fact:
    return Fact(FactKind.TRUTH, label)


DECISION_DOMAINS = (
    "credit",
    "education",
    "employment",
    "government_services",
    "health_care",
    "housing",
    "insurance",
    "other",
)
AI_ACT_CLASSES = (
    "prohibited",
    "high_risk_annex_i",
    "high_risk_annex_iii",
    "transparency",
    "minimal",
    "outside",
)

SYSTEM_FACTS: dict[str, Fact] = {
    PHI_FACT: _truth("holds protected health information"),
    PLACE_FACT: Fact(FactKind.PLACES, "places where it is used"),
    "in_scope": _truth("in scope of model risk management and of the frameworks adopted"),
    "decision_domains": Fact(FactKind.SET, "fields in which it supports decisions about people", DECISION_DOMAINS),
    "operator_roles": Fact(FactKind.SET, "roles of the operator (EU AI Act, Colorado)", ("provider", "deployer")),
    "eu_ai_act_class": Fact(FactKind.CHOICE, "risk class under the EU AI Act", AI_ACT_CLASSES),
    "bank_supervised": _truth("operated by or for a supervised banking organization"),
    "generative_ai": _truth("generative or agentic AI"),
    "vendor_supplied": _truth("supplied by a vendor"),
    "personal_data": _truth("processes personal data of people in the EU"),
    "special_category_data": _truth("processes special categories of personal data (GDPR Art. 9)"),
    "solely_automated": _truth("decides about people without a person"),
    "deidentified_data": _truth("relies on data that was de-identified"),
    "limited_data_set": _truth("uses a limited data set (45 CFR 164.514(e))"),
    "patient_care_support": _truth("a patient care decision support tool of a covered entity (45 CFR 92.4)"),
    "certified_health_it": _truth("a predictive decision support intervention of certified health IT"),
    "consumer_reports": _truth("uses consumer reports"),
    "special_purpose_credit": _truth("serves a special purpose credit program of a for-profit creditor"),
    "employment_tool_output": Fact(FactKind.CHOICE, "output of the employment tool", ("selection", "score")),
    "public_body": _truth("used by or for a public body"),
    "broker_dealer_records": _truth("keeps records of a broker or dealer (17 CFR 240.17a-4)"),
    "financial_reporting": _truth("feeds financial reporting"),
    "cardholder_data": _truth("stores, processes or transmits cardholder data"),
    "fda_records": _truth("keeps records or signatures that the FDA's rules require (21 CFR Part 11)"),
    "adopted_frameworks": Fact(FactKind.SET, "voluntary frameworks that were adopted", ("nist_ai_rmf", "iso_42001")),
    "exposure": Fact(FactKind.COUNT, "money at risk in a year, in whole units of the operator's currency"),
    "persons_per_year": Fact(FactKind.COUNT, "people about whom it supports decisions in a year"),
}
"""Name -> fact. `contains_phi` comes from the registration of a system, everything else from its declaration.

Counts decide about no control; a risk tier can rest on them, as on every other fact.
"""


def parse_facts(declared: Mapping[str, object]) -> dict[str, FactValue]:
    """Check what is declared of a system, and bring it into one form: sets sorted and without repetitions.

    Args:
        declared: Name -> truth, text, or list of texts. Facts that are left out are unknown.

    Raises:
        DeclarationError: With every fault and the JSON pointer of its place.
    """
    faults: list[Fault] = []
    facts = {name: value for name in declared if (value := _parsed(name, declared[name], faults)) is not None}
    if faults:
        raise DeclarationError(faults)
    return dict(sorted(facts.items()))


def facts_to_json(facts: Facts) -> dict[str, Json]:
    """Give facts as JSON takes them: tuples as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}


def facts_from_json(stored: Mapping[str, Any]) -> dict[str, FactValue]:
    """Read back what `facts_to_json` gave."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


def _parsed(name: str, value: object, faults: list[Fault]) -> FactValue | None:
    pointer = f"/facts/{name}"
    fact = SYSTEM_FACTS.get(name)
    if fact is None or name == PHI_FACT:
        known = ", ".join(sorted(SYSTEM_FACTS.keys() - {PHI_FACT}))
        faults.append(Fault(pointer, f"unknown fact; known: {known}"))
        return None
    if message := value_fault(fact, value):
        faults.append(Fault(pointer, message))
        return None
    if isinstance(value, list):
        return tuple(sorted(set(value)))
    return value if isinstance(value, (bool, int, str)) else None


def value_fault(fact: Fact, value: object) -> str:
    """Say what is wrong with a declared value of a fact; nothing when it is right."""
    if fact.kind is FactKind.TRUTH:
        return "" if isinstance(value, bool) else "true or false is needed"
    if fact.kind is FactKind.COUNT:
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_LIMIT
        return "" if whole else f"a whole number from 0 to {COUNT_LIMIT} is needed"
    if fact.kind is FactKind.CHOICE:
        return "" if isinstance(value, str) and value in fact.choices else f"one of {', '.join(fact.choices)} is needed"
    allowed = KNOWN_PLACES if fact.kind is FactKind.PLACES else frozenset(fact.choices)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "a list of texts is needed"
    if unknown := sorted(set(value) - allowed):
        known = PLACE_WORDS if fact.kind is FactKind.PLACES else ", ".join(fact.choices)
        return f"unknown: {', '.join(unknown)}; known: {known}"
    if fact.kind is FactKind.PLACES and not value:
        return "at least one place is needed; leave the fact out while it is not known"
    return ""
