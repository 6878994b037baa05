"""The page of a model version: what it is, what is known of it, where it came from, what was decided."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from governance.admin.base import GovernedAdmin, moment_column, person_column, seen_by
from governance.admin.cells import Cell, badge, code, link, moment, nested, number, whole
from governance.admin.ledger import ledger_section
from governance.admin.lineage import lineage_section
from governance.admin.sections import Facts, Page, Section, Table
from governance.models import Decision, Evidence, ModelVersion
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(ModelVersion)
class ModelVersionAdmin(GovernedAdmin[ModelVersion]):
    """Versions of models."""

    kinds = ("model_version",)
    deferred = ("parameters", "metrics")
    list_display = (
        "__str__",
        "digest_code",
        "format",
        person_column("author"),
        moment_column("registered_at"),
    )
    list_select_related = ("model", "author")
    list_filter = ("format",)
    search_fields = ("id__exact", "artifact__digest__startswith", "model__slug__exact")
    search_help_text = "Model's short name, version id, or start of a digest"

    @admin.display(description="digest")
    def digest_code(self, version: ModelVersion) -> Cell:
        """Show the digest."""
        return code(version.digest)

    def subject(self, record: ModelVersion) -> Subject:
        """Name it with its digest."""
        return Subject("model_version", record.id, Digest.from_text(record.digest))

    def page(self, request: HttpRequest, record: ModelVersion) -> Page:
        """Show everything about a version."""
        return Page(
            heading=str(record),
            lead=f"A version of {record.model}, in {record.model.system}.",
            sections=self.sections(request, record),
        )

    def sections(self, request: HttpRequest, record: ModelVersion) -> tuple[Section, ...]:
        """Give the parts of the page."""
        return (
            _overview(record),
            _decisions(record),
            _evidence(record),
            lineage_section("Lineage", record.id, upwards=True, seen_by=seen_by(request)),
            lineage_section("Put to use", record.id, upwards=False, seen_by=seen_by(request)),
            _training(record),
            _jobs(record),
            ledger_section(record.id),
        )


def _overview(version: ModelVersion) -> Section:
    return Facts(
        title="Overview",
        rows=(
            ("Id", code(version.id)),
            ("Digest", whole(version.digest)),
            ("System", link(version.model.system)),
            ("Model", link(version.model)),
            ("Format", version.format),
            ("Size", f"{version.artifact.size:,} bytes"),
            ("Author", link(version.author, version.author.printed_name)),
            ("Registered by", link(version.registered_by, version.registered_by.printed_name)),
            ("Registered", moment(version.registered_at)),
            ("Framework", version.framework or None),
            ("Code", code(version.code_commit)),
            ("Run", link(version.run)),
            ("Came from", version.source_uri or None),
            ("Environment lock", code(version.environment_lock_digest)),
            ("Container", code(version.container_digest)),
        ),
    )


def _training(version: ModelVersion) -> Section:
    return Facts(
        title="Parameters and metrics",
        note="As the author reports them. What a policy reads is evidence.",
        folded=True,
        rows=(("Parameters", nested(version.parameters)), ("Metrics", nested(version.metrics))),
    )


def _decisions(version: ModelVersion) -> Section:
    decisions = version.decisions.select_related("policy_version__policy").defer("context", "rules", "attestation")
    return Table(
        title="Decisions",
        columns=("Environment", "State", "Policy", "Evaluated", "Expires", "Decision"),
        rows=tuple(_decision_row(item) for item in decisions),
        empty="No decision was requested. Ask the gate with: modelnotary gate decide",
    )


def _decision_row(decision: Decision) -> tuple[Cell, ...]:
    return (
        decision.environment,
        badge(decision.state, decision.get_state_display()),
        link(decision.policy_version),
        moment(decision.evaluated_at),
        moment(decision.expires_at),
        link(decision, decision.id),
    )


def _evidence(version: ModelVersion) -> Section:
    evidence = version.evidence.select_related("producer").defer("document")
    return Table(
        title="Evidence",
        columns=("Evidence", "In short", "Measured by", "Digest", "Deposited"),
        rows=tuple(
            (
                link(item, item.title),
                evidence_headline(item),
                measured_by(item),
                code(item.digest),
                moment(item.deposited_at),
            )
            for item in evidence
        ),
        empty="No evidence was deposited. Without it, a policy that asks for it does not pass.",
    )


def evidence_headline(evidence: Evidence) -> Cell:
    """Say in a few words what a piece of evidence says."""
    payload = evidence.payload
    if verdict := verdict_badge(payload):
        return verdict
    if payload.get("auc") is not None:
        return f"AUC {number(payload['auc'])}"
    return f"{number(payload['rows'])} rows" if payload.get("rows") is not None else None


def verdict_badge(payload: dict[str, Any]) -> str:
    """Show the verdict of an assessment, if it has one."""
    verdict = payload.get("verdict")
    return badge(verdict, verdict.replace("_", " ")) if isinstance(verdict, str) else ""


def measured_by(evidence: Evidence) -> str:
    """Say whether the product computed it or somebody reported it."""
    return "the product" if evidence.measured else f"reported by {evidence.producer.printed_name}"


def _jobs(version: ModelVersion) -> Section:
    return Table(
        title="Jobs",
        columns=("Job", "State", "Stage", "Created", "Finished"),
        rows=tuple(
            (
                link(job, job.get_type_display()),
                badge(job.state, job.get_state_display()),
                job.stage or None,
                moment(job.created_at),
                moment(job.finished_at),
            )
            for job in version.jobs.all()
        ),
        empty="Nothing was computed on this version.",
    )
