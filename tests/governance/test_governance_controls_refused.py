"""Files of a control catalogue that contradict themselves: each is refused with file, control and field."""

import contextlib
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.controls.errors import CatalogueError
from governance.controls.reading import installed_texts, read_catalogue

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
