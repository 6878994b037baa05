"""Lineage as tables: what a thing came from, what came of it, and what is affected when it is bad."""

from collections.abc import Iterable

from governance.admin.cells import Cell, code, link, moment, record_address, stack
from governance.admin.sections import Action, Notice, Page, Section, Table
from governance.enums import LineageKind, LineageRole, Trust
from governance.models import DatasetVersion, Decision, Deployment, ModelVersion, Run
from governance.selectors.affected import STEPS_LIMIT, Affected
from governance.selectors.lineage import LineageStep, lineage_walk
from governance.selectors.scope import Sight

_SHOWN = 500


def lineage_section(title: str, start: str, *, upwards: bool, seen_by: Sight) -> Section:
    """Show the steps above or below a thing, nearest first."""
    walk = lineage_walk(start=start, upwards=upwards, limit=_SHOWN, seen_by=seen_by)
    names = names_of({end for step in walk.steps for end in (step.source_id, step.target_id)})
    return Table(
        title=title,
        note=f"The nearest {_SHOWN} steps; there are more." if walk.truncated else "",
        columns=("From", "Step", "To", "Known how"),
        rows=tuple(_row(step, names) for step in walk.steps),
        empty="No step of lineage was recorded.",
    )


def _row(step: LineageStep, names: dict[str, Cell]) -> tuple[Cell, ...]:
    return (
        stack((names[step.source_id], LineageKind(step.source_kind).label)),
        LineageRole(step.role).label,
        stack((names[step.target_id], LineageKind(step.target_kind).label)),
        Trust(step.trust).label,
    )


def names_of(identities: Iterable[str]) -> dict[str, Cell]:
    """Give each id of the lineage graph as a link with the record's name, or as it is where there is no record."""
    wanted = set(identities)
    named: dict[str, Cell] = {identity: code(identity) for identity in wanted}
    for records in (
        DatasetVersion.objects.select_related("dataset"),
        ModelVersion.objects.select_related("model"),
        Deployment.objects.select_related("model_version__model"),
        Decision.objects.select_related("model_version__model").defer("context", "rules", "attestation"),
        Run.objects.all(),
    ):
        named |= {record.pk: link(record) for record in records.filter(pk__in=wanted)}
    return named


def affected_page(affected: Affected) -> Page:
    """Show what has to be looked at when a version of a data set turns out to be bad."""
    words = f"More than {STEPS_LIMIT:,} steps of lineage lead on from here; what is beyond them is missing below."
    return Page(
        heading=f"What rests on {affected.source}",
        kind="Data set version",
        lead="What has to be looked at if these data turn out to be bad, directly or through other data and models.",
        marks=(code(affected.source.digest), moment(affected.at)),
        notices=(Notice(words=words, tone="bad"),) if affected.truncated else (),
        actions=(Action(words="As text", address=record_address(affected.source, "affected.txt"), symbol="download"),),
        sections=(
            Table(
                title="Model versions",
                columns=("Version", "Digest", "Steps away"),
                rows=tuple((link(item), code(item.digest), depth) for item, depth in affected.versions),
                empty="No model version came of these data.",
            ),
            Table(
                title="Deployments in use",
                columns=("Deployment", "Environment", "Deployed"),
                rows=tuple((link(item), item.environment, moment(item.deployed_at)) for item in affected.deployments),
                empty="None of them is in use.",
            ),
            Table(
                title="Decisions that stand",
                columns=("Decision", "Environment", "Holds until"),
                rows=tuple(
                    (link(item, str(item.model_version)), item.environment, moment(item.expires_at))
                    for item in affected.decisions
                ),
                empty="No decision about them stands.",
            ),
            Table(
                title="Systems",
                columns=("System", "Owner", "Mail"),
                rows=tuple(
                    (link(item), link(item.owner, item.owner.printed_name), item.owner.email)
                    for item in affected.systems
                ),
                empty="No system is affected.",
            ),
        ),
    )
