"""What runs where: aliases through time, what agents saw, and what does not agree."""

from django.contrib import admin
from django.http import HttpRequest

from governance.admin.base import GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, whole
from governance.admin.ledger import ledger_section
from governance.admin.sections import Facts, Notice, Page, Table
from governance.models import AliasBinding, Discrepancy, EnvironmentSnapshot
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(AliasBinding)
class AliasBindingAdmin(GovernedAdmin[AliasBinding]):
    """Which version an alias named, from when until when."""

    kinds = ("alias_binding",)
    list_display = (
        "alias",
        "model",
        "model_version",
        moment_column("bound_from"),
        moment_column("bound_to"),
        person_column("bound_by"),
    )
    list_select_related = ("model", "model_version__model", "bound_by")
    search_fields = ("id__exact", "alias__exact", "model__slug__exact")

    def page(self, request: HttpRequest, record: AliasBinding) -> Page:  # noqa: ARG002
        """Show a binding, and all others of the alias."""
        others = AliasBinding.objects.filter(model=record.model, alias=record.alias)
        return Page(
            heading=str(record),
            lead="An alias is a label that is moved. What it named, and when, stays.",
            sections=(
                Facts(
                    title="Binding",
                    rows=(
                        ("Id", code(record.id)),
                        ("Model", link(record.model)),
                        ("Version", link(record.model_version)),
                        ("From", moment(record.bound_from)),
                        ("Until", moment(record.bound_to) if record.bound_to else "now"),
                        ("Bound by", link(record.bound_by, record.bound_by.printed_name)),
                        ("Ended by", link(record.ended_by, record.ended_by.printed_name) if record.ended_by else None),
                        ("Seen where", record.observed_via),
                    ),
                ),
                Table(
                    title="History of the alias",
                    columns=("Version", "From", "Until", "Bound by"),
                    rows=tuple(
                        (
                            link(item.model_version),
                            moment(item.bound_from),
                            moment(item.bound_to),
                            item.bound_by.printed_name,
                        )
                        for item in others.select_related("model_version__model", "bound_by")
                    ),
                ),
                ledger_section(record.id),
            ),
        )


@admin.register(EnvironmentSnapshot)
class EnvironmentSnapshotAdmin(GovernedAdmin[EnvironmentSnapshot]):
    """What agents saw running."""

    kinds = ("environment_snapshot",)
    deferred = ("running",)
    list_display = ("environment", moment_column("received_at"), moment_column("taken_at"), person_column("agent"))
    list_select_related = ("agent",)
    search_fields = ("id__exact", "environment__exact")

    def subject(self, record: EnvironmentSnapshot) -> Subject:
        """Name it with the digest of its list."""
        return Subject("environment_snapshot", record.id, Digest.from_text(record.digest))

    def page(self, request: HttpRequest, record: EnvironmentSnapshot) -> Page:  # noqa: ARG002
        """Show everything that ran, what does not agree first."""
        found = list(record.discrepancies.select_related("deployment__model_version__model", "decision"))
        words = f"{len(found)} things here do not agree with what was deployed and decided."
        return Page(
            heading=str(record),
            lead="The whole list of what an agent saw running, held against deployments and decisions at that moment.",
            marks=(whole(record.digest),),
            notices=(Notice(words=words, tone="bad"),) if found else (),
            sections=(
                Table(
                    title="What does not agree",
                    columns=("What", "In words", "Deployment"),
                    rows=tuple((_kind(item), item.detail, link(item.deployment)) for item in found),
                    empty="Everything that runs was deployed on a decision that stands, and everything deployed runs.",
                ),
                Table(
                    title="Running",
                    columns=("Place", "Digest", "Model"),
                    rows=tuple((item["place"], code(item["digest"]), item["model"] or None) for item in record.running),
                    empty="Nothing ran.",
                ),
                Facts(
                    title="Snapshot",
                    rows=(
                        ("Id", code(record.id)),
                        ("Environment", record.environment),
                        ("Agent", link(record.agent, record.agent.printed_name)),
                        ("Taken, by the agent's clock", moment(record.taken_at)),
                        ("Received", moment(record.received_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )


@admin.register(Discrepancy)
class DiscrepancyAdmin(GovernedAdmin[Discrepancy]):
    """What does not agree between what runs and what was deployed and decided."""

    kinds = ("discrepancy",)
    list_display = ("standing", "environment", "place", "detail")
    list_select_related = ("snapshot",)
    list_filter = ("kind",)
    search_fields = ("id__exact", "snapshot__environment__exact", "observed_digest__startswith")

    @admin.display(description="what")
    def standing(self, record: Discrepancy) -> Cell:
        """Show what kind it is."""
        return _kind(record)

    @admin.display(description="environment")
    def environment(self, record: Discrepancy) -> Cell:
        """Show where."""
        return record.snapshot.environment

    def page(self, request: HttpRequest, record: Discrepancy) -> Page:  # noqa: ARG002
        """Show one disagreement."""
        return Page(
            heading=str(record),
            lead=record.detail,
            badge=_kind(record),
            sections=(
                Facts(
                    title="Discrepancy",
                    rows=(
                        ("Id", code(record.id)),
                        ("Snapshot", link(record.snapshot)),
                        ("Place", record.place or None),
                        ("Digest seen", whole(record.observed_digest)),
                        ("Deployment", link(record.deployment)),
                        ("Decision", link(record.decision)),
                    ),
                ),
            ),
        )


def _kind(record: Discrepancy) -> str:
    return badge("denied", record.get_kind_display())
