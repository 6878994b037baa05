"""The fields that a tier can rest on, and their values for any number of systems in as many queries as for one."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.db.models import BooleanField

from governance.controls.facts import PHI_FACT, SYSTEM_FACTS, FactKind
from governance.controls.places import KNOWN_PLACES
from governance.enums import LineageKind, LineageRole, PhiType
from governance.models import (
    AiSystem,
    DatasetVersion,
    LineageEdge,
    Model,
    ModelDescription,
    ModelVersion,
    SystemDeclaration,
)
from governance.tiering.fields import Field, FieldKind, Fields, FieldValue

type Values = dict[str, FieldValue | None]

_FACT_KINDS = {
    FactKind.TRUTH: FieldKind.TRUTH,
    FactKind.CHOICE: FieldKind.CHOICE,
    FactKind.SET: FieldKind.SET,
    FactKind.PLACES: FieldKind.PLACES,
    FactKind.COUNT: FieldKind.COUNT,
}
_REGISTERED = ("purpose", "decision_supported", "affected_persons", "operator", "jurisdiction", "contains_phi")


def _column(model: type[AiSystem | ModelDescription], name: str) -> Any:  # noqa: ANN401 - a column of any kind
    return model._meta.get_field(name)  # noqa: SLF001 - Django's own way to a model's columns


def _registered_field(name: str) -> Field:
    column = _column(AiSystem, name)
    kind = FieldKind.TRUTH if isinstance(column, BooleanField) else FieldKind.TEXT
    return Field(kind, str(column.verbose_name))


def _described_field(name: str, label: str) -> Field:
    choices = _column(ModelDescription, name).choices or ()
    return Field(FieldKind.SET, label, tuple(str(value) for value, _ in choices))


def _declared_field(name: str) -> Field:
    fact = SYSTEM_FACTS[name]
    choices = tuple(sorted(KNOWN_PLACES)) if fact.kind is FactKind.PLACES else fact.choices
    return Field(_FACT_KINDS[fact.kind], fact.label, choices)


TIER_FIELDS: Fields = {
    **{f"system.{name}": _registered_field(name) for name in _REGISTERED},
    **{f"declared.{name}": _declared_field(name) for name in SYSTEM_FACTS if name != PHI_FACT},
    "models.count": Field(FieldKind.COUNT, "models in the system"),
    "models.methodology": _described_field("methodology", "methodologies of its models, as described"),
    "models.provenance": _described_field("provenance", "provenances of its models, as described"),
    "models.format": Field(FieldKind.SET, "formats of the newest version of each model"),
    "training_data.rows": Field(FieldKind.COUNT, "rows of the largest data set that a newest version was trained on"),
    "training_data.contains_phi": Field(FieldKind.TRUTH, "one of these data sets holds protected health information"),
    "training_data.phi_types": Field(FieldKind.SET, "identifiers in these data sets", tuple(PhiType.values)),
}
"""Name -> field. A field is never taken away or given another kind: published templates rest on it.

What is not known of every model is missing: a model without a description, a version without recorded training data.
"""


def tier_fields(
    *, systems: Collection[AiSystem], names: Collection[str], at: datetime
) -> dict[str, dict[str, FieldValue | None]]:
    """Give what some fields said at a moment, for each system by its id.

    Args:
        systems: The systems.
        names: The fields; what none of them asks for is not looked up.
        at: The moment.
    """
    found: dict[str, Values] = {system.id: {} for system in systems}
    for reader in sorted({_READER_OF[name] for name in names}, key=lambda reader: reader.__name__):
        for identity, values in reader(systems, at):
            found[identity] |= values
    return {identity: {name: values.get(name) for name in names} for identity, values in found.items()}


def _registered(systems: Collection[AiSystem], at: datetime) -> Iterator[tuple[str, Values]]:  # noqa: ARG001 - as others
    for system in systems:
        yield system.id, {f"system.{name}": getattr(system, name) for name in _REGISTERED}


def _declared(systems: Collection[AiSystem], at: datetime) -> Iterator[tuple[str, Values]]:
    newest = SystemDeclaration.objects.filter(system__in=systems, declared_at__lte=at)
    for item in newest.order_by("system_id", "-number").distinct("system_id"):
        yield item.system_id, {f"declared.{name}": _fact(value) for name, value in item.facts.items()}


def _fact(stored: Any) -> FieldValue:  # noqa: ANN401 - JSON
    return tuple(sorted(set(stored))) if isinstance(stored, list) else stored


def _counted(systems: Collection[AiSystem], at: datetime) -> Iterator[tuple[str, Values]]:
    for system, identities in _models(systems, at).items():
        yield system, {"models.count": len(identities)}


def _described(systems: Collection[AiSystem], at: datetime) -> Iterator[tuple[str, Values]]:
    models = _models(systems, at)
    said = ModelDescription.objects.filter(model__in=_flat(models), described_at__lte=at)
    described = {item.model_id: item for item in said.order_by("model_id", "-number").distinct("model_id")}
    for system, identities in models.items():
        descriptions = [described.get(identity) for identity in identities]
        methodologies = [item.methodology if item else None for item in descriptions]
        provenances = [item.provenance if item else None for item in descriptions]
        yield system, {"models.methodology": _every(methodologies), "models.provenance": _every(provenances)}


def _formatted(systems: Collection[AiSystem], at: datetime) -> Iterator[tuple[str, Values]]:
    models = _models(systems, at)
    formats = {item.model_id: item.format for item in _newest_versions(_flat(models), at)}
    for system, identities in models.items():
        yield system, {"models.format": _every([formats.get(identity) for identity in identities])}


def _every(values: list[str | None]) -> tuple[str, ...] | None:
    """Give the set of values, or None where one is not known, or there is nothing that could have one."""
    known = {value for value in values if value}
    return tuple(sorted(known)) if values and all(values) else None


def _models(systems: Collection[AiSystem], at: datetime) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {system.id: [] for system in systems}
    registered = Model.objects.filter(system__in=systems, registered_at__lte=at)
    for system, identity in registered.values_list("system_id", "id"):
        found[system].append(identity)
    return found


def _flat(models: dict[str, list[str]]) -> list[str]:
    return [identity for identities in models.values() for identity in identities]


def _newest_versions(models: list[str], at: datetime) -> list[ModelVersion]:
    versions = ModelVersion.objects.filter(model__in=models, registered_at__lte=at)
    return list(versions.order_by("model_id", "-number").distinct("model_id"))


def _trained(systems: Collection[AiSystem], at: datetime) -> Iterator[tuple[str, Values]]:
    models = _models(systems, at)
    versions = _newest_versions(_flat(models), at)
    data = _training_data([version.id for version in versions], at)
    newest = {version.model_id: data[version.id] for version in versions}
    for system, identities in models.items():
        sets = [newest.get(identity, []) for identity in identities]
        if not sets or not all(sets):
            continue
        every = [item for one in sets for item in one]
        identified = [item.phi_types for item in every]
        yield (
            system,
            {
                "training_data.rows": max(item.row_count for item in every),
                "training_data.contains_phi": any(item.dataset.contains_phi for item in every),
                "training_data.phi_types": None
                if None in identified
                else tuple(sorted({kind for kinds in identified for kind in kinds or ()})),
            },
        )


def _training_data(versions: list[str], at: datetime) -> dict[str, list[DatasetVersion]]:
    """Give the versions of data sets that the runs behind versions of models were trained on."""
    edges = LineageEdge.objects.filter(recorded_at__lte=at)
    produced = list(
        edges.filter(role=LineageRole.PRODUCED, target_id__in=versions, source_kind=LineageKind.RUN).values_list(
            "source_id", "target_id"
        )
    )
    used = defaultdict(set)
    for source, run in edges.filter(
        role=LineageRole.TRAINED_ON, target_id__in={run for run, _ in produced}
    ).values_list("source_id", "target_id"):
        used[run].add(source)
    wanted = {source for sources in used.values() for source in sources}
    known = DatasetVersion.objects.select_related("dataset").in_bulk(list(wanted))
    found: dict[str, set[str]] = {version: set() for version in versions}
    for run, version in produced:
        found[version] |= used[run]
    return {version: [known[one] for one in sorted(sources) if one in known] for version, sources in found.items()}


_READERS = {
    _registered: ("system.",),
    _declared: ("declared.",),
    _counted: ("models.count",),
    _described: ("models.methodology", "models.provenance"),
    _formatted: ("models.format",),
    _trained: ("training_data.",),
}
_READER_OF = {name: reader for reader, begin in _READERS.items() for name in TIER_FIELDS if name.startswith(begin)}
"""Field -> what reads it, together with the others that come from the same records."""
