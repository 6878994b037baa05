"""A small tier template, as a mapping to be changed and as text, and fields that it reads."""

from typing import Any

import yaml

from governance.tiering.document import parse_template
from governance.tiering.fields import Field, FieldKind, Fields, Snapshot
from governance.tiering.template import TierTemplate

FIELDS: Fields = {
    "s.truth": Field(FieldKind.TRUTH, "a truth"),
    "s.count": Field(FieldKind.COUNT, "a count"),
    "s.text": Field(FieldKind.TEXT, "a text"),
    "s.choice": Field(FieldKind.CHOICE, "a choice", ("ml", "rules")),
    "s.set": Field(FieldKind.SET, "a set", ("credit", "housing")),
    "s.places": Field(FieldKind.PLACES, "places", ("DE", "EU", "US", "US-MA")),
}
RIGHT: dict[str, Any] = {
    "template": "small",
    "title": "Two factors",
    "tiers": ["low", "high"],
    "factors": [
        {
            "id": "SIZE",
            "title": "Size",
            "aggregation": "sum",
            "weight": 2,
            "components": [
                {
                    "field": "s.count",
                    "rules": [
                        {"from": 100, "points": 3},
                        {"below": 100, "points": 1},
                        {"missing": True, "points": 3},
                    ],
                }
            ],
        },
        {
            "id": "KIND",
            "title": "Kind",
            "aggregation": "max",
            "weight": 1,
            "components": [
                {"field": "s.choice", "rules": [{"one_of": ["ml"], "points": 2}, {"otherwise": True, "points": 1}]},
                {"field": "s.text", "rules": [{"contains": ["Denial"], "points": 3}, {"otherwise": True, "points": 0}]},
            ],
        },
    ],
    "thresholds": [{"tier": "low", "from": 0, "below": 7}, {"tier": "high", "from": 7}],
    "overrides": [{"id": "PHI", "title": "PHI is high", "field": "s.truth", "is": True, "at_least": "high"}],
}
VALUES: dict[str, Any] = {"s.count": 7, "s.choice": "rules", "s.text": "Pricing", "s.truth": False}


def text(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def parsed(document: dict[str, Any]) -> TierTemplate:
    return parse_template(text(document), fields=FIELDS)


def snapshot(**changed: Any) -> Snapshot:
    """Values by the last part of the field's name."""
    return Snapshot("sys_1", VALUES | {f"s.{name}": value for name, value in changed.items()})
