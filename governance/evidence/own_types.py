"""Types of evidence that an installation makes itself: what such a definition may be, and what may follow on it.

Their names begin with `x_`, which no type that the product comes with does. Of JSON Schema they may use what those use:
closed objects, bounded lists, texts and numbers, nothing that refers elsewhere. Of patterns there is one, that of a
digest: what an expression costs to match cannot be told from looking at it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.evidence.registry import About, TypeVersion
from governance.evidence.schemas import Schema, dialect, name_hint
from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.ledger.errors import CanonicalError

TYPE_FORMAT = "modelnotary-evidence-type/v1"
OWN_PREFIX = "x_"
NAME = re.compile(r"x_[a-z][a-z0-9_]{0,37}", re.ASCII)
SCHEMA_LIMIT = 32 * 1024
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"
FRESH_DAYS_LIMIT = 3650
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_TEXT_LIMITS = {"title": 100, "description": 2000}
_DEPTH_LIMIT, _FIELD_LIMIT, _ITEM_LIMIT, _LENGTH_LIMIT, _ENUM_LIMIT = 4, 64, 1000, 4000, 100
# Words that the language of policies keeps for itself, and the facts that every piece of evidence has.
_RESERVED = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"),
        *("namespace", "null", "package", "return", "true", "var", "void", "while", "measured", "signed"),
    }
)
_WORDS = frozenset({"type", "title", "description"})
_OF_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"enum", "minLength", "maxLength", "format", "pattern"}),
    "number": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A type as it is drafted.

    Attributes:
        name: `x_` and lowercase letters, digits and underscores.
        title, description: In words.
        about: What evidence of the type is bound to.
        fresh_days: For how many days after it was collected it counts.
        schema: JSON Schema of its payload.
    """

    name: str
    title: str
    description: str
    about: About
    fresh_days: int
    schema: Mapping[str, Any]

    def to_bytes(self, version: int) -> bytes:
        """Write it as canonical JSON; `own_type` reads it."""
        return canonical_bytes(
            {
                "format": TYPE_FORMAT,
                "name": self.name,
                "version": version,
                "title": self.title,
                "description": self.description,
                "about": self.about.value,
                "fresh_days": self.fresh_days,
                "schema": dict(self.schema),
            }
        )


def own_type(document: bytes) -> TypeVersion:
    """Read a published definition."""
    said: Any = parse_canonical(document)
    return TypeVersion(
        name=said["name"],
        title=said["title"],
        about=About(said["about"]),
        fresh_days=said["fresh_days"],
        version=said["version"],
        schema=Schema(said["schema"]),
        description=said["description"],
    )


def definition_require(definition: Definition, before: TypeVersion | None) -> None:
    """Demand that a definition is one, and that it follows on the version before it.

    What rules read of a version, they read of every later one, with the same meaning: a policy that compiled goes on
    compiling, and a decision of then comes out the same.

    Raises:
        EvidenceRefusedError: With every fault and its place.
    """
    faults = [*_definition_faults(definition), *schema_faults(definition.schema)]
    if not faults and before:
        faults = list(_following_faults(definition, before))
    if faults:
        raise EvidenceRefusedError(tuple(faults[:50]))


def _definition_faults(definition: Definition) -> Iterator[Fault]:
    if not NAME.fullmatch(definition.name):
        yield Fault("/name", "is x_ and then lowercase letters, digits and underscores, with at most 40 characters")
    for field, limit in _TEXT_LIMITS.items():
        if not 0 < len(getattr(definition, field).strip()) <= limit:
            yield Fault(f"/{field}", f"has 1 to {limit} characters")
    if not 0 < definition.fresh_days <= FRESH_DAYS_LIMIT:
        yield Fault("/fresh_days", f"is a whole number from 1 to {FRESH_DAYS_LIMIT}")


def schema_faults(schema: object, pointer: str = "/schema") -> list[Fault]:
    """Give everything that is wrong with a schema of a payload."""
    try:
        length = len(canonical_bytes(schema))
    except CanonicalError as error:
        return [Fault(pointer, str(error))]
    if length > SCHEMA_LIMIT:
        return [Fault(pointer, f"has {length} bytes as canonical JSON, more than {SCHEMA_LIMIT}")]
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return [Fault(pointer, 'describes an object: {"type": "object", "additionalProperties": false, …}')]
    inner = {name: value for name, value in schema.items() if name != "$schema"}
    if schema.get("$schema", _DIALECT) != _DIALECT:
        return [Fault(f"{pointer}/$schema", f"is {_DIALECT}, or left out")]
    faults = list(_node_faults(inner, pointer, 1))
    return faults or [Fault(pointer, str(error.message)[:400]) for error in dialect().iter_errors(schema)]


_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _node_faults(node: object, place: str, depth: int) -> Iterator[Fault]:
    if not isinstance(node, dict):
        yield Fault(place, "is an object with a type")
        return
    if depth > _DEPTH_LIMIT:
        yield Fault(place, f"nests deeper than {_DEPTH_LIMIT} levels")
        return
    kind = _kind(node.get("type"))
    if kind is None:
        known = ", ".join(_OF_TYPE)
        yield Fault(f"{place}/type", f'is one of {known}, or a list of one of them and "null"')
        return
    allowed = _WORDS | _OF_TYPE[kind]
    for name in sorted(node.keys() - allowed):
        yield Fault(f"{place}/{name}", f"has no place in a schema of a {kind}; {name_hint(str(name), allowed)}")
    yield from _LOOKING[kind](node, place, depth)


def _kind(stated: object) -> str | None:
    kinds = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
    rest = [kind for kind in kinds if kind != "null"]
    fits = len(rest) == 1 and len(kinds) <= len(rest) + 1 and isinstance(rest[0], str) and rest[0] in _OF_TYPE
    return rest[0] if fits else None


def _object_faults(node: Mapping[str, Any], place: str, depth: int) -> Iterator[Fault]:
    if node.get("additionalProperties") is not False:
        yield Fault(f"{place}/additionalProperties", "is false: a misspelt field must not pass as another one")
    properties, required = node.get("properties"), node.get("required", [])
    if not isinstance(properties, dict) or not 0 < len(properties) <= _FIELD_LIMIT:
        yield Fault(f"{place}/properties", f"has 1 to {_FIELD_LIMIT} fields")
        return
    for name, schema in properties.items():
        if not _FIELD.fullmatch(name) or name in _RESERVED:
            words = "is a lowercase letter and then letters, digits and underscores, and no word that rules keep"
            yield Fault(f"{place}/properties/{name}", f"the name of a field {words}")
        yield from _node_faults(schema, f"{place}/properties/{name}", depth + 1)
    names = required if isinstance(required, list) and all(isinstance(name, str) for name in required) else None
    if names is None or len(set(names)) != len(names) or not set(names) <= properties.keys():
        yield Fault(f"{place}/required", "is a list of fields that there are, each once")


def _array_faults(node: Mapping[str, Any], place: str, depth: int) -> Iterator[Fault]:
    if not _is_count(node.get("maxItems"), _ITEM_LIMIT):
        yield Fault(f"{place}/maxItems", f"is needed: a whole number up to {_ITEM_LIMIT}")
    if "minItems" in node and not _is_count(node["minItems"], _ITEM_LIMIT):
        yield Fault(f"{place}/minItems", f"is a whole number up to {_ITEM_LIMIT}")
    yield from _node_faults(node.get("items"), f"{place}/items", depth + 1)


def _string_faults(node: Mapping[str, Any], place: str, depth: int) -> Iterator[Fault]:  # noqa: ARG001
    if node.get("pattern", DIGEST_PATTERN) != DIGEST_PATTERN:
        yield Fault(f"{place}/pattern", f"is {DIGEST_PATTERN}; use enum, format or maxLength for anything else")
    if node.get("format", "date") != "date":
        yield Fault(f"{place}/format", "is date")
    if "enum" in node:
        values = node["enum"]
        fits = isinstance(values, list) and 0 < len(values) <= _ENUM_LIMIT
        if not fits or not all(
            value is None or (isinstance(value, str) and len(value) <= _LENGTH_LIMIT) for value in values
        ):
            yield Fault(f"{place}/enum", f"is a list of 1 to {_ENUM_LIMIT} texts")
    if not node.keys() & {"enum", "pattern", "format", "maxLength"}:
        yield Fault(f"{place}/maxLength", f"is needed where there is no enum, format or pattern: up to {_LENGTH_LIMIT}")
    for name in ("minLength", "maxLength"):
        if name in node and not _is_count(node[name], _LENGTH_LIMIT):
            yield Fault(f"{place}/{name}", f"is a whole number up to {_LENGTH_LIMIT}")


def _number_faults(node: Mapping[str, Any], place: str, depth: int) -> Iterator[Fault]:  # noqa: ARG001
    bounds = [node.get(name) for name in ("minimum", "maximum")]
    if not all(isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in bounds):
        yield Fault(place, "needs a minimum and a maximum")
    elif bounds[0] > bounds[1]:  # type: ignore[operator]
        yield Fault(f"{place}/minimum", "is more than the maximum")


def _no_faults(node: Mapping[str, Any], place: str, depth: int) -> Iterator[Fault]:  # noqa: ARG001
    return iter(())


_LOOKING = {
    "object": _object_faults,
    "array": _array_faults,
    "string": _string_faults,
    "number": _number_faults,
    "integer": _number_faults,
    "boolean": _no_faults,
}


def _is_count(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit


def _following_faults(definition: Definition, before: TypeVersion) -> Iterator[Fault]:
    if definition.about is not before.about:
        yield Fault(
            "/about", f"is {before.about.value}, as in version {before.version}; another subject is another type"
        )
    fields = definition.schema["properties"]
    for name, schema in before.fields.items():
        place = f"/schema/properties/{name}"
        if name not in fields:
            yield Fault(place, f"is missing; it is in version {before.version}, and rules may read it")
        elif _kind(fields[name]["type"]) != _kind(schema["type"]):
            yield Fault(f"{place}/type", f"is {_kind(schema['type'])}, as in version {before.version}")
