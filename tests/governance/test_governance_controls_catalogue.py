"""The control catalogue: what it holds, and what it says on both sides of the days on which the law moved."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

import governance.controls
from governance.controls.catalogue import Standing, catalogue_at
from governance.controls.errors import CoverageError
from governance.controls.facts import SYSTEM_FACTS, FactKind
from governance.controls.reading import installed_catalogue, installed_texts, read_catalogue
from governance.controls.vocabulary import Force, Status, Trust
from governance.enums import EvidenceType

# A released version is never changed: give the catalogue a new version, and add its digest here.
RELEASED = {"2026-11-27": "sha256:38e99ae3561bb4769cdf8ae90d59309ba1114cededeca4d957c225267ee4f5b3"}
ROWS = {
    "hipaa": 29,
    "aca-1557": 3,
    "onc-hti-1": 3,
    "mrm": 10 + 9,
    "reg-b": 12 + 1,
    "fair-lending": 1,
    "fcra": 2,
    "ugesp": 2,
    "nyc-ll144": 9,
    "records": 8,
    "gdpr": 4,
    "eu-ai-act": 17 + 1,
    "nist-ai-rmf": 31,
    "iso-42001": 14,
    "part-11": 14,
    "colorado-admt": 7,
}
CATALOGUE = installed_catalogue()
BY_ID = {control.id: control for control in CATALOGUE.controls}
SR_26_2 = [name for name in BY_ID if name.startswith("MRM-") and name != "MRM-legacy"]
SR_11_7 = ["MRM-legacy", *(name for name in BY_ID if name.startswith("SR117-"))]


def standings(day: str) -> dict[str, Standing]:
    return {standing.control.id: standing for standing in catalogue_at(CATALOGUE, date.fromisoformat(day))}


# --- The law moves ----------------------------------------------------------------------------------------------------
# control, last day before, status then, first day after, status then
MOVES = [
    *((name, "2026-04-16", Status.IN_FORCE, "2026-04-17", Status.SUPERSEDED) for name in SR_11_7),
    *((name, "2026-04-16", Status.UNPUBLISHED, "2026-04-17", Status.IN_FORCE) for name in SR_26_2),
    ("REGB-6-a-effects", "2026-07-20", Status.IN_FORCE, "2026-07-21", Status.SUPERSEDED),
    ("REGB-6-a", "2026-07-20", Status.FUTURE, "2026-07-21", Status.IN_FORCE),
    ("REGB-8-b3", "2026-07-20", Status.FUTURE, "2026-07-21", Status.IN_FORCE),
    ("REGB-6-a", "2026-04-21", Status.UNPUBLISHED, "2026-04-22", Status.FUTURE),
    ("REGB-9-b2", "2026-07-20", Status.IN_FORCE, "2026-07-21", Status.IN_FORCE),
    ("REGB-9-b2-c2-4", "2026-07-20", Status.IN_FORCE, "2026-07-21", Status.IN_FORCE),
    ("FAIRLEND-state", "2026-07-20", Status.IN_FORCE, "2026-07-21", Status.IN_FORCE),
    ("CFPB-2022-03", "2025-05-11", Status.IN_FORCE, "2025-05-12", Status.WITHDRAWN),
    ("CFPB-2023-03", "2025-05-11", Status.IN_FORCE, "2025-05-12", Status.WITHDRAWN),
    ("S1557-210-a", "2025-04-30", Status.IN_FORCE, "2025-05-01", Status.IN_FORCE),
    ("S1557-210-b", "2025-04-30", Status.FUTURE, "2025-05-01", Status.IN_FORCE),
    ("S1557-210-c", "2025-04-30", Status.FUTURE, "2025-05-01", Status.IN_FORCE),
    ("HIPAA-NPRM", "2025-01-05", Status.UNPUBLISHED, "2025-01-06", Status.PROPOSED),
    ("HTI5", "2025-12-28", Status.UNPUBLISHED, "2025-12-29", Status.PROPOSED),
    ("AIA-omnibus", "2026-07-23", Status.UNPUBLISHED, "2026-07-24", Status.CONTEXT),
    ("AIA-113-2024", "2026-07-26", Status.CONTEXT, "2026-07-27", Status.SUPERSEDED),
    ("AIA-4a", "2026-07-26", Status.FUTURE, "2026-07-27", Status.IN_FORCE),
    ("AIA-9", "2026-08-01", Status.FUTURE, "2026-08-02", Status.FUTURE),
    ("AIA-9", "2027-12-01", Status.FUTURE, "2027-12-02", Status.IN_FORCE),
    ("AIA-27", "2027-12-01", Status.FUTURE, "2027-12-02", Status.IN_FORCE),
    ("CO-notice", "2026-05-13", Status.UNPUBLISHED, "2026-05-14", Status.FUTURE),
    ("CO-notice", "2026-12-31", Status.FUTURE, "2027-01-01", Status.IN_FORCE),
    ("HIPAA-312-b", "2025-01-01", Status.IN_FORCE, "2026-11-21", Status.IN_FORCE),
]


@pytest.mark.parametrize(("name", "before", "was", "after", "became"), MOVES)
def test_a_control_stands_right_on_both_sides_of_its_dates(
    name: str, before: str, was: Status, after: str, became: Status
) -> None:
    assert (standings(before)[name].status, standings(after)[name].status) == (was, became)


def test_each_part_of_sr_11_7_names_what_took_its_place() -> None:
    after = standings("2026-04-17")
    assert len(SR_11_7) == 10
    for name in SR_11_7:
        (successor,) = BY_ID[name].superseded_by
        assert after[name].why == f"superseded on 2026-04-17 by {successor}"
        assert after[successor].words == "in force (guidance)"
    assert standings("2026-04-16")["SR117-annual"].words == "in force (guidance)"


def test_the_effects_test_ends_and_the_proxy_scan_begins_on_the_same_day() -> None:
    before, after = standings("2026-07-20"), standings("2026-07-21")
    assert before["REGB-6-a"].why == "decided; applies from 2026-07-21"
    assert before["REGB-6-a-effects"].why.endswith("until 2026-07-21")
    assert after["REGB-6-a-effects"].why == "superseded on 2026-07-21 by REGB-6-a"


def test_the_dates_of_the_ai_act_are_those_that_were_law_on_the_day() -> None:
    assert standings("2026-07-26")["AIA-9"].why == (
        "decided; applies from 2026-08-02 (high_risk_annex_iii) and 2027-08-02 (high_risk_annex_i)"
    )
    assert standings("2026-07-27")["AIA-9"].why == (
        "decided; applies from 2027-12-02 (high_risk_annex_iii) and 2028-08-02 (high_risk_annex_i)"
    )
    assert standings("2027-12-02")["AIA-9"].why == "in force since 2027-12-02 (high_risk_annex_iii)"


def test_a_contested_rule_says_who_contests_it() -> None:
    standing = standings("2026-11-21")["UGESP-4D"]
    assert standing.words == "in force (contested)"
    assert "OLC opinion of 2026-06-09" in standing.why


@pytest.mark.parametrize("day", ["2024-12-31", "1900-01-01", "2200-01-01", "9999-12-31"])
def test_a_day_that_the_catalogue_does_not_cover_is_refused_and_not_guessed(day: str) -> None:
    with pytest.raises(CoverageError, match=r"covers 2025-01-01 to 2199-12-31; it cannot tell what holds on"):
        standings(day)


# --- What is in it ----------------------------------------------------------------------------------------------------
def test_the_released_version_has_the_released_digest() -> None:
    assert CATALOGUE.digest.text == RELEASED[CATALOGUE.version], "changed rows need a new version, and its digest here"


def test_the_digest_is_of_the_content_and_not_of_the_layout_of_its_files() -> None:
    texts = installed_texts()
    texts["mrm.toml"] = "# a comment\n\n" + texts["mrm.toml"].replace(" = ", "  =  ")
    assert read_catalogue(texts).digest == CATALOGUE.digest
    texts["mrm.toml"] = texts["mrm.toml"].replace("Scale rigor by materiality", "Scale rigour by materiality")
    assert read_catalogue(texts).digest != CATALOGUE.digest


def test_every_row_of_the_research_is_in_it_and_the_rows_that_they_superseded() -> None:
    assert Counter(control.framework for control in CATALOGUE.controls) == ROWS
    assert len(CATALOGUE.controls) == 166 + 11
    assert {name: len(checklist.items) for name, checklist in CATALOGUE.checklists.items()} == {
        "hti-1-source-attributes": 31,
        "reg-b-c1-reasons": 24,
        "eu-ai-act-annex-iv": 23,
    }


@pytest.mark.parametrize(
    ("name", "trust"),
    [
        ("HIPAA-312-b", Trust.PRIMARY),
        ("SEC-17a4-A", Trust.SECONDARY),
        ("MRM-scope", Trust.SECONDARY),  # P6/S1: the weaker counts
        ("HIPAA-528-c", Trust.MEMORY),  # P2/M
        ("HIPAA-316-b2i", Trust.MEMORY),
        ("SR117-annual", Trust.MEMORY),
    ],
)
def test_the_weakest_source_of_a_row_is_its_mark(name: str, trust: Trust) -> None:
    assert BY_ID[name].trust is trust


def test_types_of_evidence_that_exist_have_the_same_names_here() -> None:
    asked = {need.type for control in CATALOGUE.controls for need in control.needs}
    assert {kind.value for kind in EvidenceType} <= asked
    assert asked == set(CATALOGUE.evidence_kinds), "a type that nothing asks for"


def test_every_fact_but_counts_decides_about_a_control() -> None:
    conditions = [
        condition
        for control in CATALOGUE.controls
        for condition in (*control.applies, *(start.applies for start in control.starts))
    ]
    used = {name for condition in conditions for item in condition.alternatives for name, _ in item}
    assert used == {name for name, fact in SYSTEM_FACTS.items() if fact.kind is not FactKind.COUNT}


def test_proposals_and_context_ask_for_nothing_and_everything_else_for_evidence() -> None:
    for control in CATALOGUE.controls:
        assert bool(control.needs) is (control.force not in (Force.PROPOSAL, Force.CONTEXT)), control.id


def test_the_package_has_its_data_beside_its_code() -> None:
    folder = Path(str(governance.controls.__file__)).parent / "data"
    assert len(list(folder.glob("*.toml"))) == len(CATALOGUE.frameworks) + 4 == len(installed_texts())
