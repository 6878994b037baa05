"""The control catalogue: what it says on both sides of the days on which the law moved, and what its reader refuses."""

import contextlib
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import governance.controls
from governance.controls.catalogue import Standing, catalogue_at
from governance.controls.errors import CatalogueError, CoverageError
from governance.controls.facts import SYSTEM_FACTS
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


def test_every_fact_decides_about_a_control() -> None:
    conditions = [
        condition
        for control in CATALOGUE.controls
        for condition in (*control.applies, *(start.applies for start in control.starts))
    ]
    used = {name for condition in conditions for item in condition.alternatives for name, _ in item}
    assert used == set(SYSTEM_FACTS)


def test_proposals_and_context_ask_for_nothing_and_everything_else_for_evidence() -> None:
    for control in CATALOGUE.controls:
        assert bool(control.needs) is (control.force not in (Force.PROPOSAL, Force.CONTEXT)), control.id


def test_the_package_has_its_data_beside_its_code() -> None:
    folder = Path(str(governance.controls.__file__)).parent / "data"
    assert len(list(folder.glob("*.toml"))) == len(CATALOGUE.frameworks) + 4 == len(installed_texts())


# --- What is refused --------------------------------------------------------------------------------------------------
_FIRST = 'id = "MRM-materiality"\n'
_LEGACY = 'id = "MRM-legacy"\n'
# what is wrong: file, what is replaced, by what, where the fault is, what is said of it
REFUSED: dict[str, tuple[str, str, str, str, str]] = {
    "not TOML": ("mrm.toml", "[framework]", "[framework", "mrm.toml", "line 1"),
    "a day that no calendar has": ("mrm.toml", "2026-04-17", "2026-02-30", "mrm.toml", "not TOML"),
    "a field given twice": ("mrm.toml", _FIRST, _FIRST * 2, "mrm.toml", "line"),
    "an unknown field": (
        "mrm.toml",
        _FIRST,
        _FIRST + "efective_to = 2027-01-01\n",
        "MRM-materiality: efective_to",
        "unknown",
    ),
    "an unknown field of the catalogue": ("catalogue.toml", "title", "titel", "catalogue.toml: titel", "unknown field"),
    "an unknown table": ("mrm.toml", "[framework]", "[other]\n[framework]", "mrm.toml: other", "unknown field"),
    "a missing text": ("mrm.toml", 'requirement = "Scale', 'note = "Scale', "MRM-materiality: requirement", "a text"),
    "an empty text": ("mrm.toml", 'citation = "SR 26-2 risk-based approach"', 'citation = " "', ": citation", "a text"),
    "a day in quotes": ("mrm.toml", "= 2026-04-17", '= "2026-04-17"', "MRM-scope: published_on", "without quotes"),
    "a moment for a day": ("mrm.toml", "= 2026-04-17", "= 2026-04-17T00:00:00Z", "MRM-scope: published_on", "a date"),
    "an id given twice": ("mrm.toml", _FIRST, 'id = "MRM-dev"\n', "mrm.toml: MRM-dev", "given twice"),
    "an id of another file": ("mrm.toml", _FIRST, 'id = "HIPAA-312-b"\n', "HIPAA-312-b", "given twice"),
    "an unknown force": ("mrm.toml", 'force = "guidance"', 'force = "advice"', "MRM-scope: force", "one of law"),
    "an unknown place": ("mrm.toml", 'jurisdiction = "US"', 'jurisdiction = "USA"', ": jurisdiction", "ISO 3166"),
    "an unknown fact": ("mrm.toml", "in_scope = true", "in_skope = true", "applies: in_skope", "unknown fact"),
    "a fact of the wrong type": (
        "mrm.toml",
        "in_scope = true",
        'in_scope = "yes"',
        "applies: in_scope",
        "true or false",
    ),
    "an unknown value": (
        "fcra.toml",
        "consumer_reports = true",
        'decision_domains = ["loans"]',
        "decision_domains",
        "unknown",
    ),
    "a fact for nothing": (
        "fcra.toml",
        "consumer_reports = true",
        "decision_domains = []",
        ": applies",
        "at least one",
    ),
    "an unknown type of evidence": (
        "mrm.toml",
        '["risk_tier"]',
        '["risk_teir"]',
        "MRM-materiality: evidence",
        "risk_teir",
    ),
    "evidence given twice": ("mrm.toml", '["risk_tier"]', '["risk_tier", "risk_tier"]', ": evidence", "given twice"),
    "no evidence": ("mrm.toml", '["risk_tier"]', "[]", "MRM-materiality: evidence", "evidence is needed"),
    "an age of no days": ("nyc-ll144.toml", "max_age_days = 365", "max_age_days = 0", "max_age_days", "number of days"),
    "evidence for a proposal": ("onc-hti-1.toml", "evidence = []", 'evidence = ["bias"]', "HTI5: evidence", "proposal"),
    "a proposal in force": (
        "onc-hti-1.toml",
        "published_on = 2025-12-29",
        "effective_from = 2025-12-29",
        "HTI5: effective_from",
        "never in force",
    ),
    "an unknown source": ("mrm.toml", 'sources = ["S1"]', 'sources = ["S99"]', ": sources", "S99"),
    "no source": ("mrm.toml", 'sources = ["S1"]', "sources = []", ": sources", "at least one"),
    "an unknown mark": ("sources.toml", "P1 =", "Q1 =", "sources.toml: Q1", "P or S"),
    "an unknown checklist": ("reg-b.toml", 'checklist = "reg', 'checklist = "rag', "REGB-C1: checklist", "not in"),
    "an end before the beginning": (
        "mrm.toml",
        "effective_to = 2026-04-17",
        "effective_to = 2011-04-04",
        ": effective_to",
        "not after",
    ),
    "in force before it was published": (
        "reg-b.toml",
        "published_on = 2026-04-22",
        "published_on = 2026-07-22",
        "REGB-6-a: effective_from",
        "before it was published",
    ),
    "a successor that is not there": (
        "mrm.toml",
        '["MRM-dev"]',
        '["MRM-devel"]',
        ": superseded_by",
        "not in the catalogue",
    ),
    "superseded on no day": (
        "mrm.toml",
        _FIRST,
        _FIRST + 'superseded_by = ["MRM-dev"]\n',
        ": superseded_by",
        "which day",
    ),
    "an overlap": (
        "mrm.toml",
        "effective_to = 2026-04-17",
        "effective_to = 2026-04-18",
        ": superseded_by",
        "overlaps with",
    ),
    "a gap": ("mrm.toml", "effective_to = 2026-04-17", "effective_to = 2026-04-16", ": superseded_by", "leaves a gap"),
    "a successor older than its predecessor": (
        "reg-b.toml",
        '["REGB-6-a"]',
        '["REGB-9-b2"]',
        ": superseded_by",
        "overlaps",
    ),
    "a circle": (
        "mrm.toml",
        'id = "MRM-scope"\n',
        'id = "MRM-scope"\neffective_to = 2027-01-01\nsuperseded_by = ["MRM-legacy"]\n',
        "superseded_by",
        "MRM-legacy -> MRM-scope -> MRM-legacy",
    ),
    "a successor of itself": (
        "mrm.toml",
        '["MRM-dev"]',
        '["SR117-development"]',
        "superseded_by",
        "circle: SR117-development",
    ),
    "an unknown timetable": (
        "eu-ai-act.toml",
        'timetable = "high-risk"',
        'timetable = "high"',
        "timetable",
        'no timetable "high"',
    ),
    "a timetable and a date": (
        "eu-ai-act.toml",
        'timetable = "high-risk"\n',
        'timetable = "high-risk"\neffective_from = 2027-12-02\n',
        "AIA-9: timetable",
        "exclude each other",
    ),
    "two beginnings decided at once": (
        "eu-ai-act.toml",
        "decided_on = 2026-07-27",
        "decided_on = 2024-08-01",
        "timetable",
        "same day",
    ),
    "decided after it began": (
        "eu-ai-act.toml",
        "decided_on = 2026-07-27",
        "decided_on = 2029-07-27",
        "effective_from",
        "decided",
    ),
    "a file under another name": (
        "mrm.toml",
        'id = "mrm"',
        'id = "sr-26-2"',
        "mrm.toml: framework: id",
        "mrm is needed",
    ),
    "a framework without a file": ("catalogue.toml", '"mrm"', '"mrm2"', "mrm2.toml", "missing"),
    "a file that nothing names": ("catalogue.toml", '"mrm",', "", "mrm.toml", "does not name"),
    "a framework given twice": ("catalogue.toml", '"mrm"', '"fcra"', "catalogue.toml: frameworks", "given twice"),
    "checked before it covers": (
        "catalogue.toml",
        "checked_on = 2026",
        "checked_on = 2024",
        "checked_on",
        "before covers_from",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_catalogue_that_contradicts_itself_is_refused_with_the_place(what: str) -> None:
    file, old, new, place, said = REFUSED[what]
    texts = installed_texts()
    assert old in texts[file]
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(texts | {file: texts[file].replace(old, new)})
    assert [fault for fault in caught.value.faults if place in fault.place and said in fault.message], str(caught.value)


def test_every_fault_is_told_at_once() -> None:
    texts = installed_texts()
    texts["mrm.toml"] = texts["mrm.toml"].replace("effective_to", "efective_to").replace("sources", "surces")
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(texts)
    assert len(caught.value.faults) > 20


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, key) for key, _ in pairs] + [place for _, below in pairs for place in _places(below)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_field_the_reader_never_fails_in_another_way(data: st.DataObject) -> None:
    texts = installed_texts()
    name = data.draw(st.sampled_from(sorted(texts)))
    document = tomllib.loads(texts[name])
    container, key = data.draw(st.sampled_from(_places(document)))
    container[key] = data.draw(_JUNK)
    with pytest.MonkeyPatch.context() as patch:
        original = tomllib.loads
        patch.setattr(tomllib, "loads", lambda text: document if text == texts[name] else original(text))
        with contextlib.suppress(CatalogueError):
            assert read_catalogue(texts).controls
