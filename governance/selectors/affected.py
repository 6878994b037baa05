"""What rests on a version of a data set: what has to be looked at when it turns out to be bad."""

from dataclasses import dataclass
from datetime import datetime

from governance.enums import DecisionStanding, LineageKind
from governance.models import AiSystem, DatasetVersion, Decision, Deployment, ModelVersion
from governance.selectors.deployments import deployments_in_use
from governance.selectors.gate import decision_standing
from governance.selectors.lineage import lineage_nodes
from governance.selectors.scope import EVERYTHING, Sight
from modelnotary.ledger.canonical import Json
from modelnotary.times import format_time

STEPS_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Affected:
    """What came of a version of a data set, at a moment.

    Attributes:
        source: The version.
        at: The moment.
        versions: Model versions with the number of steps from the data to them, nearest first.
        deployments: Those of them that are in use.
        decisions: Those about them that stand.
        systems: Whose models they are.
        truncated: Whether more than `STEPS_LIMIT` steps of lineage lead on, so that something is missing here.
    """

    source: DatasetVersion
    at: datetime
    versions: tuple[tuple[ModelVersion, int], ...]
    deployments: tuple[Deployment, ...]
    decisions: tuple[Decision, ...]
    systems: tuple[AiSystem, ...]
    truncated: bool

    def to_json(self) -> dict[str, Json]:
        """The whole answer."""
        return {
            "dataset_version": {
                "id": self.source.id,
                "name": str(self.source),
                "digest": self.source.digest,
            },
            "at": format_time(self.at),
            "truncated": self.truncated,
            "steps_limit": STEPS_LIMIT,
            "model_versions": [
                {"id": item.id, "name": str(item), "digest": item.digest, "depth": depth}
                for item, depth in self.versions
            ],
            "deployments_in_use": [
                {"id": item.id, "model_version": item.model_version_id, "environment": item.environment}
                for item in self.deployments
            ],
            "decisions_that_stand": [
                {"id": item.id, "model_version": item.model_version_id, "environment": item.environment}
                for item in self.decisions
            ],
            "systems": [
                {"id": item.id, "name": item.name, "owner": item.owner.printed_name, "owner_email": item.owner.email}
                for item in self.systems
            ],
        }

    def to_text(self) -> str:
        """The same for reading and for sending on."""
        lines = [
            f"What is affected if {self.source} is bad",
            f"digest {self.source.digest}",
            f"as of {format_time(self.at)}",
            "",
            *_listed("Model versions", [f"{item}  {item.digest}" for item, _ in self.versions]),
            *_listed("Deployments in use", [f"{item}  {item.id}" for item in self.deployments]),
            *_listed("Decisions that stand", [f"{item}  {item.id}" for item in self.decisions]),
            *_listed("Systems, with owner", [f"{item.name}  {item.owner.printed_name}" for item in self.systems]),
        ]
        if self.truncated:
            lines.append(f"INCOMPLETE: more than {STEPS_LIMIT:,} steps of lineage lead on from here.")
        return "\n".join(lines).rstrip() + "\n"


def affected_by(*, version: DatasetVersion, at: datetime, seen_by: Sight = EVERYTHING) -> Affected:
    """Give what came of a version of a data set, directly or through others, as far as it is seen."""
    nodes, truncated = lineage_nodes(start=version.id, upwards=False, limit=STEPS_LIMIT)
    depths = {thing: depth for thing, (kind, depth) in nodes.items() if kind == LineageKind.MODEL_VERSION}
    versions = seen_by.of(ModelVersion.objects.filter(pk__in=depths).select_related("model__system__owner"))
    ordered = sorted(((item, depths[item.id]) for item in versions), key=lambda pair: (pair[1], str(pair[0])))
    decisions = (
        seen_by.of(Decision.objects.filter(model_version__in=depths, state="passed"))
        .select_related("model_version__model", "ending")
        .defer("context", "rules", "attestation")
        .order_by("environment", "id")
    )
    systems = {item.model.system_id: item.model.system for item, _ in ordered}
    return Affected(
        source=version,
        at=at,
        versions=tuple(ordered),
        deployments=tuple(seen_by.of(deployments_in_use(at=at)).filter(model_version__in=depths)),
        decisions=tuple(item for item in decisions if decision_standing(item, at=at) == DecisionStanding.PASSED),
        systems=tuple(sorted(systems.values(), key=lambda system: system.name)),
        truncated=truncated,
    )


def _listed(title: str, items: list[str]) -> list[str]:
    return [f"{title}: {len(items)}", *(f"  {item}" for item in items), ""]
