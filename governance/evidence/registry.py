"""The types of evidence that this installation came with: what each is about, its schema, how long it stays fresh.

A released name is never changed, and neither is a released version of a schema: a change is a new version. What the
control catalogue asks for has the catalogue's title and subject; the rest says its own.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from governance.controls.reading import installed_catalogue
from governance.evidence.errors import EvidenceRefusedError, Fault, RegistryError
from governance.evidence.schemas import Schema


class About(StrEnum):
    """What evidence is bound to."""

    MODEL_VERSION = "model_version"
    DATASET_VERSION = "dataset_version"
    SYSTEM = "system"
    ORGANIZATION = "organization"


RECORDED = frozenset({"approval", "deployment", "inventory_record", "system_declaration", "training_lineage"})
"""What the control catalogue takes from the records themselves: nobody can deposit it."""


@dataclass(frozen=True, slots=True)
class TypeVersion:
    """One version of a type of evidence.

    Attributes:
        name: The type, for instance `bias`.
        title: In words.
        about: What evidence of the type is bound to.
        fresh_days: For how many days after it was collected it counts.
        version: Of the schema, from 1.
        schema: Judges payloads.
        description: In more words, where it has any.
    """

    name: str
    title: str
    about: About
    fresh_days: int
    version: int
    schema: Schema
    description: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """The schema of each top-level field, by name."""
        properties: dict[str, Any] = self.schema.document["properties"]
        return properties


@cache
def installed_types() -> dict[str, TypeVersion]:
    """Give every type by name, in its newest version.

    Raises:
        RegistryError: The files were damaged.
    """
    folder = files("governance.evidence") / "data"
    try:
        rows = tomllib.loads((folder / "types.toml").read_text(encoding="utf-8"))
        return {name: _type(name, row) for name, row in sorted(rows.items())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"the registry of evidence types cannot be read: {error}") from error


def type_get(name: str, known: Mapping[str, TypeVersion], pointer: str = "/type") -> TypeVersion:
    """Give a type by name.

    Args:
        name: The name.
        known: The types that can be deposited.
        pointer: Where it stands.

    Raises:
        EvidenceRefusedError: There is none, or it is taken from records and never deposited.
    """
    if name in known:
        return known[name]
    if name in RECORDED:
        words = f'"{name}" is taken from the records themselves and cannot be deposited'
    else:
        words = f'unknown type "{name}"; GET /api/v1/evidence-types lists the {len(known)} that are known'
    raise EvidenceRefusedError((Fault(pointer, words),))


def _type(name: str, row: dict[str, Any]) -> TypeVersion:
    kind = installed_catalogue().evidence_kinds.get(name)
    title, about = (kind.label, kind.about) if kind else (row["title"], row["about"])
    schema, version = row["schema"].split(".v")
    return TypeVersion(
        name=name,
        title=title,
        about=About(about),
        fresh_days=int(row["fresh_days"]),
        version=int(version),
        schema=_schema(schema, int(version)),
    )


@cache
def _schema(name: str, version: int) -> Schema:
    file = files("governance.evidence") / "data" / "schemas" / f"{name}.v{version}.json"
    return Schema(json.loads(file.read_text(encoding="utf-8")))
