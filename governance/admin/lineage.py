"""Lineage as tables: what a thing came from, and what came of it."""

from collections.abc import Iterable
from typing import Any

from governance.admin.cells import Cell, code, link, stack
from governance.admin.sections import Section, Table
from governance.enums import LineageKind, LineageRole, Trust
from governance.models import DatasetVersion, Deployment, ModelVersion, Run
from governance.selectors.lineage import lineage_walk


def lineage_section(title: str, start: str, *, upwards: bool) -> Section:
    """Show the steps above or below a thing, nearest first."""
    steps = lineage_walk(start=start, upwards=upwards)
    names = names_of({step[end] for step in steps for end in ("source_id", "target_id")})
    return Table(
        title=title,
        columns=("From", "Step", "To", "Known how"),
        rows=tuple(_row(step, names) for step in steps),
        empty="No step of lineage was recorded.",
    )


def _row(step: dict[str, Any], names: dict[str, Cell]) -> tuple[Cell, ...]:
    return (
        stack((names[step["source_id"]], LineageKind(step["source_kind"]).label)),
        LineageRole(step["role"]).label,
        stack((names[step["target_id"]], LineageKind(step["target_kind"]).label)),
        Trust(step["trust"]).label,
    )


def names_of(identities: Iterable[str]) -> dict[str, Cell]:
    """Give each id of the lineage graph as a link with the record's name, or as it is where there is no record."""
    wanted = set(identities)
    named: dict[str, Cell] = {identity: code(identity) for identity in wanted}
    for records in (
        DatasetVersion.objects.select_related("dataset"),
        ModelVersion.objects.select_related("model"),
        Deployment.objects.select_related("model_version__model"),
        Run.objects.all(),
    ):
        named |= {record.pk: link(record) for record in records.filter(pk__in=wanted)}
    return named
