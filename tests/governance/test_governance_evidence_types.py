"""The registry of evidence types: every type that a control asks for can be deposited, and nothing else gets in."""

import json
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from governance.controls.reading import installed_catalogue
from governance.enums import EvidenceType
from governance.evidence.errors import EvidenceRefusedError
from governance.evidence.registry import RECORDED, About, installed_types, type_get
from governance.evidence.schemas import dialect
from governance.policy.facts import EVIDENCE_FACTS, FactType
from modelnotary.ledger.digest import Digest

# A released schema file never changes. A change is a file with the next version, and a new line here.
RELEASED = {
    "bias.v1": "8725bcab620385a3",
    "calibration.v1": "6fd37ccc0665eb58",
    "checks.v1": "a52529b3d7dfbbf7",
    "document.v1": "8ccc2b97bbc4aa3a",
    "drift.v1": "5aee99f446a63331",
    "evaluation_summary.v1": "1ea70960504b0257",
    "explanation.v1": "cc4a7074e0000363",
    "model_card.v1": "bd57e2d58a89b6ec",
    "performance.v1": "663ab82ee7d5d83c",
    "review.v1": "5431759e36160e17",
    "robustness.v1": "84ab726defe91218",
}
TYPES = installed_types()
SCHEMAS = files("governance.evidence") / "data" / "schemas"


def test_a_released_schema_is_what_was_released() -> None:
    found = {
        item.name.removesuffix(".json"): Digest.of(item.read_bytes()).text.removeprefix("sha256:")[:16]
        for item in SCHEMAS.iterdir()
    }
    assert found == RELEASED


def test_every_type_that_a_control_asks_for_can_be_deposited_or_is_taken_from_records() -> None:
    kinds = installed_catalogue().evidence_kinds
    assert kinds.keys() - TYPES.keys() == RECORDED
    for name in kinds.keys() - RECORDED:
        assert (TYPES[name].title, TYPES[name].about.value) == (kinds[name].label, kinds[name].about.value)
        if kinds[name].verdict:
            assert "verdict" in TYPES[name].schema.document["required"], name
    assert {kind.value for kind in EvidenceType} <= TYPES.keys()


def test_a_type_that_no_control_names_says_itself_what_it_is() -> None:
    rows = tomllib.loads((files("governance.evidence") / "data" / "types.toml").read_text())
    named = {name for name, row in rows.items() if "title" in row}
    assert named == TYPES.keys() - installed_catalogue().evidence_kinds.keys()
    assert TYPES["data_quality"].about is About.DATASET_VERSION


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every schema of an object within a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if "object" in str(schema.get("type")) else []
    return own + [found for item in schema.values() for found in objects(item)]


@pytest.mark.parametrize("name", RELEASED)
def test_a_schema_is_valid_closed_and_bounded(name: str) -> None:
    document = json.loads((SCHEMAS / f"{name}.json").read_text())
    assert not list(dialect().iter_errors(document))
    assert "$ref" not in json.dumps(document)
    for item in objects(document):
        assert item.get("additionalProperties") is not None or "maxProperties" in item
    for field, schema in document["properties"].items():
        if "number" in str(schema["type"]):
            assert {"minimum", "maximum"} <= schema.keys(), field
        if "string" in str(schema["type"]):
            assert schema.keys() & {"maxLength", "enum", "pattern"}, field


def test_facts_are_the_plain_fields_of_the_schema() -> None:
    assert EVIDENCE_FACTS["bias"]["demographic_parity_ratio"] is FactType.NUMBER
    assert EVIDENCE_FACTS["bias"]["min_group_n"] is FactType.INTEGER
    assert EVIDENCE_FACTS["bias"]["verdict"] is FactType.TEXT
    assert EVIDENCE_FACTS["third_party_audit"]["independent"] is FactType.TRUTH
    assert not {"criteria", "groups", "receipt", "unknown"} & EVIDENCE_FACTS["bias"].keys()
    assert all(facts["measured"] is FactType.TRUTH for facts in EVIDENCE_FACTS.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [("approval", "taken from the records themselves"), ("fairness", "unknown type"), ("Bias", "unknown type")],
)
def test_what_is_no_type_is_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(EvidenceRefusedError, match=words) as refusal:
        type_get(name, TYPES)
    assert refusal.value.faults[0].pointer == "/type"


GOOD: dict[str, dict[str, Any]] = {
    "performance": {"rows": 900, "auc": 0.8, "accuracy": None},
    "review": {
        "title": "Audit",
        "issuer": "Auditor",
        "issued_on": "2026-02-28",
        "conclusion": "Sound.",
        "verdict": "pass",
    },
    "bias": {"rows": 900, "verdict": "pass", "groups": [{"column": "race", "group": "black", "n": 3}]},
    "drift": {"method": "psi", "statistic": 0.1, "reference_rows": 9, "window_rows": 9, "verdict": "pass"},
}
EXAMPLES = {"performance": "performance", "review": "third_party_audit", "bias": "bias", "drift": "drift"}
GOOD_CRITERION = {"metric": "adverse_impact_ratio", "verdict": "pass"}
# What is changed in a good payload (None: taken out), then pointer and message of the one fault.
WRONG: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "not a number": ("performance", {"auc": float("nan")}, "/payload/auc", "nan is not a number"),
    "infinity": ("performance", {"auc": float("inf")}, "/payload/auc", "inf is not a number"),
    "infinity below": ("bias", {"unknown": {"a": float("-inf")}}, "/payload/unknown/a", "-inf"),
    "a truth for a number": ("performance", {"auc": True}, "/payload/auc", "true is not a number or null"),
    "a truth for a count": ("bias", {"rows": True}, "/payload/rows", "true is not a whole number"),
    "a text for a number": ("performance", {"auc": "0.9"}, "/payload/auc", '"0.9" is not a number or null'),
    "more than there can be": ("performance", {"auc": 1.01}, "/payload/auc", "1.01 is more than 1"),
    "less than there can be": ("bias", {"rows": -1}, "/payload/rows", "-1 is less than 0"),
    "part of a row": ("bias", {"rows": 5.5}, "/payload/rows", "5.5 is not a whole number"),
    "a missing field": ("bias", {"verdict": None}, "/payload/verdict", "is missing"),
    "a misspelt metric": ("performance", {"accuracy_": 0.9}, "/payload/accuracy_", 'did you mean "accuracy"?'),
    "a field of nothing known": ("drift", {"zzz": 1}, "/payload/zzz", "unknown field; known: features, "),
    "another spelling": ("bias", {"verdict": "PASS"}, "/payload/verdict", '"PASS" is none of "pass", "fail"'),
    "a claim to be measured": ("bias", {"measured": True}, "/payload/measured", "unknown field"),
    "a wrong digest": ("bias", {"dataset_digest": "md5:00"}, "/payload/dataset_digest", "is not a digest: sha256:"),
    "a digest in capitals": ("bias", {"model_digest": "sha256:" + "A" * 64}, "/payload/model_digest", "not a digest"),
    "no day": ("review", {"issued_on": "2026-02-30"}, "/payload/issued_on", "does not have the form date"),
    "nothing said": ("review", {"conclusion": ""}, "/payload/conclusion", "has fewer than 1 characters"),
    "too much said": ("review", {"conclusion": "x" * 4001}, "/payload/conclusion", "has more than 4000 characters"),
    "a group uncounted": ("bias", {"groups": [{"column": "a", "group": ""}]}, "/payload/groups/0/n", "is missing"),
    "a slashed name": ("bias", {"criteria": [GOOD_CRITERION | {"a/b~": 1}]}, "/payload/criteria/0/a~1b~0", "un"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_payload_with_one_thing_wrong_has_one_fault_at_its_place(what: str) -> None:
    schema, change, pointer, words = WRONG[what]
    judge = TYPES[EXAMPLES[schema]].schema
    assert not judge.faults(GOOD[schema])
    changed = {name: value for name, value in (GOOD[schema] | change).items() if value is not None}
    (fault,) = judge.faults(changed)
    assert fault.pointer == pointer
    assert words in fault.message


def test_every_fault_is_named_and_a_flood_of_them_is_cut() -> None:
    judge = TYPES["bias"].schema
    assert [fault.pointer for fault in judge.faults({"auc": 2, "selection_rate": "x"})] == [
        "/payload/rows",
        "/payload/verdict",
        "/payload/auc",
        "/payload/selection_rate",
    ]
    assert len(judge.faults({f"f{number}": 0 for number in range(500)})) == 50
