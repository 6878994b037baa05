"""The facts of a report and their canonical JSON are two forms of the same thing."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from report_samples import sample_report

from modelnotary.ledger.canonical import canonical_bytes
from reports.content import Group, ReportContent
from reports.errors import ContentError
from reports.twin import content_from_json, content_to_json


@pytest.fixture(scope="module")
def content() -> ReportContent:
    return sample_report().content


def test_content_survives_the_way_through_json_and_back(content: ReportContent) -> None:
    assert content_from_json(content_to_json(content)) == content


def test_a_report_without_optional_sections_survives_too(content: ReportContent) -> None:
    bare = replace(content, performance=None, explanation=None, bias=(), decisions=(), approvals=(), access=None)
    assert content_from_json(content_to_json(bare)) == bare


def test_a_rate_of_exactly_one_comes_back_as_a_rate(content: ReportContent) -> None:
    bias = replace(content.bias[0], groups=(Group("all", 40, 1.0, 0.912, 1.0, None, 0.0),))
    read = content_from_json(content_to_json(replace(content, bias=(bias,))))
    assert type(read.bias[0].groups[0].selection_rate) is float
    assert read.bias[0] == bias


def test_the_twin_holds_the_signed_decision_byte_for_byte(content: ReportContent) -> None:
    twin = json.loads(content_to_json(content))
    assert twin["decisions"][0]["envelope"] == content.decisions[0].envelope


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_json_cannot_carry_is_refused_before_anything_is_printed(
    content: ReportContent, number: float
) -> None:
    bias = replace(content.bias[0], groups=(Group("all", 40, number, None, None, None, None),))
    with pytest.raises(ContentError, match="no canonical form"):
        content_to_json(replace(content, bias=(bias,)))


MALFORMED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another format": (lambda twin: twin.update(format="modelnotary-report/v2"), "/format"),
    "a member missing": (lambda twin: twin["cover"].pop("owner"), "/cover"),
    "a member too many": (lambda twin: twin["cover"].update(colour="red"), "/cover"),
    "a number for a text": (lambda twin: twin["cover"].update(owner=7), "/cover/owner"),
    "a truth value for a count": (lambda twin: twin["explanation"].update(n=True), "/explanation/n"),
    "a text for a rate": (lambda twin: twin["bias"][0]["groups"][1].update(tpr="0.5"), "/bias/0/groups/1/tpr"),
    "null where a fact is due": (lambda twin: twin.update(as_of=None), "/as_of"),
    "an object for a list": (lambda twin: twin.update(limitations={}), "/limitations"),
    "a list for an object": (lambda twin: twin.update(ledger=[]), "/ledger"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_twin_is_refused_with_the_place_of_the_fault(content: ReportContent, case: str) -> None:
    spoil, pointer = MALFORMED[case]
    twin = json.loads(content_to_json(content))
    spoil(twin)
    with pytest.raises(ContentError) as caught:
        content_from_json(canonical_bytes(twin))
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[]", b'{"format": 1}', b'{"a":1,"a":2}', b"[" * 100_000])
def test_what_is_not_canonical_json_is_refused(data: bytes) -> None:
    with pytest.raises(ContentError):
        content_from_json(data)


def test_another_layout_of_the_same_twin_is_refused(content: ReportContent) -> None:
    indented = json.dumps(json.loads(content_to_json(content)), indent=1).encode()
    with pytest.raises(ContentError, match="canonical"):
        content_from_json(indented)
