"""Evidence, laid out by its type. Whatever its shape, the page shows it; nothing in a payload can break it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from governance.admin.base import Address, GovernedAdmin, moment_column
from governance.admin.cells import (
    Cell,
    badge,
    code,
    command,
    interval,
    link,
    moment,
    nested,
    number,
    record_address,
    whole,
)
from governance.admin.ledger import attachment, ledger_section
from governance.admin.model_versions import evidence_headline, measured_by, verdict_badge
from governance.admin.producers import envelope_download, signature_notices, signature_section
from governance.admin.sections import Action, Bar, Bars, Facts, Page, Section, Table
from governance.admin.supersessions import (
    acceptance_actions,
    acceptance_addresses,
    standing_badge,
    supersession_notices,
    supersession_section,
)
from governance.models import Evidence
from governance.policy.facts import schema_facts
from governance.selectors.evidence_types import types_known
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@admin.register(Evidence)
class EvidenceAdmin(GovernedAdmin[Evidence]):
    """Facts about model versions."""

    kinds = ("evidence",)
    deferred = ("document", "statement__envelope")
    list_display = (
        "type",
        "bound_to",
        "headline",
        "measured",
        "counting",
        "digest_code",
        moment_column("deposited_at"),
    )
    list_select_related = (
        "model_version__model",
        "dataset_version__dataset",
        "system",
        "producer",
        "superseded_by__acceptance",
        "statement__key__revocation",
    )
    list_filter = ("type", "about", "measured")
    search_fields = ("id__exact", "digest__startswith", "model_version__id__exact")
    search_help_text = "Evidence id, model version id, or start of a digest"

    @admin.display(description="in short")
    def headline(self, evidence: Evidence) -> Cell:
        """Say what it says."""
        return evidence_headline(evidence)

    @admin.display(description="digest")
    def digest_code(self, evidence: Evidence) -> Cell:
        """Show the digest."""
        return code(evidence.digest)

    @admin.display(description="about")
    def bound_to(self, evidence: Evidence) -> str:
        """Name what it is about."""
        return str(evidence.subject)

    @admin.display(description="counts")
    def counting(self, evidence: Evidence) -> Cell:
        """Say whether it counts, is stale or superseded."""
        return standing_badge(evidence)

    def subject(self, record: Evidence) -> Subject:
        """Name it with its digest."""
        return Subject("evidence", record.id, Digest.from_text(record.digest))

    def addresses(self) -> tuple[Address, ...]:
        """Offer the document."""
        return (
            Address("document", _document_download),
            Address("envelope", envelope_download),
            *acceptance_addresses(self),
        )

    def page(self, request: HttpRequest, record: Evidence) -> Page:
        """Show the fact by its type, then how it came about."""
        payload: dict[str, Any] = record.payload
        return Page(
            heading=f"{record.title} of {record.subject}",
            lead=f"Measured by {measured_by(record)}." if record.measured else f"{measured_by(record).capitalize()}.",
            badge=verdict_badge(payload),
            actions=(
                Action(words="Document", address=record_address(record, "document"), symbol="download", tone="main"),
                *_envelope_actions(record),
                *acceptance_actions(request, record),
            ),
            notices=(*signature_notices(record), *supersession_notices(record)),
            sections=(
                *_bias_sections(payload),
                *_explanation_sections(payload),
                _facts(record),
                *_rest(record),
                Facts(title="Provenance", rows=_provenance(record)),
                *signature_section(record),
                *supersession_section(record),
                *_receipt(payload),
                ledger_section(record.id),
            ),
        )


def _envelope_actions(evidence: Evidence) -> tuple[Action, ...]:
    if not hasattr(evidence, "statement"):
        return ()
    return (Action(words="Envelope", address=record_address(evidence, "envelope"), symbol="draft"),)


def _facts(evidence: Evidence) -> Section:
    names = _facts_of(evidence)
    return Facts(
        title="What policies read",
        rows=tuple((_title(name), _value(evidence.payload[name])) for name in names if name in evidence.payload),
    )


def _facts_of(evidence: Evidence) -> tuple[str, ...]:
    kind = types_known().get(evidence.type)
    return tuple(schema_facts(kind.fields)) if kind else ()


def _value(value: object) -> Cell:
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else nested(value)


def _records(payload: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Give a list of objects, or nothing where a reporter put something else."""
    found = payload.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return []
    return found


def _bias_sections(payload: dict[str, Any]) -> tuple[Section, ...]:
    criteria, groups = _records(payload, "criteria"), _records(payload, "groups")
    sections: list[Section] = []
    if criteria:
        sections.append(
            Table(
                title="Verdicts",
                columns=("Compared by", "Comparison", "Value", "Line", "Verdict", "Why"),
                rows=tuple(_criterion_row(item) for item in criteria),
            )
        )
    if groups:
        sections.append(
            Table(
                title="Groups",
                note="Rates with their 95 % intervals. Small groups are shown and not judged.",
                columns=(
                    "Group", "n", "Selected", "Selection rate", "Impact ratio", "True positives", "False positives",
                    "Accuracy",
                ),
                rows=tuple(_group_row(item) for item in groups),
            )
        )  # fmt: skip
    return tuple(sections)


def _criterion_row(item: dict[str, Any]) -> tuple[Cell, ...]:
    verdict = str(item.get("verdict", ""))
    return (
        str(item.get("column", "")),
        str(item.get("metric", "")).replace("_", " "),
        number(item.get("value")),
        number(item.get("line")),
        badge(verdict, verdict.replace("_", " ")),
        str(item.get("reason", "")),
    )


def _group_row(item: dict[str, Any]) -> tuple[Cell, ...]:
    rates = ("selection_rate", "adverse_impact_ratio", "true_positive_rate", "false_positive_rate", "accuracy")
    name = f"{item.get('column', '')}: {item.get('group', '')}"
    return (
        f"{name} (reference)" if item.get("is_reference") is True else name,
        number(item.get("n")),
        number(item.get("selected")),
        *(interval(item.get(rate), item.get(f"{rate}_low"), item.get(f"{rate}_high")) for rate in rates),
    )


def _explanation_sections(payload: dict[str, Any]) -> tuple[Section, ...]:
    ranked = [item for item in _records(payload, "global_importance") if isinstance(item.get("mean_abs"), (int, float))]
    rows = _records(payload, "local")
    sections: list[Section] = []
    if ranked:
        sections.append(
            Bars(
                title="Importance",
                note="How much each feature moves the output on average: the mean size of its attributions, "
                "with a 95 % interval.",
                scale=str(payload.get("output_space", "")),
                bars=_bars(ranked),
            )
        )
    if rows:
        sections.append(
            Table(
                title="Single rows",
                note="The rows with the highest output, and what moved each of them most. Values stay in the data set.",
                folded=True,
                columns=("Row", "Output", "Largest contributions"),
                rows=tuple(
                    (number(item.get("row")), number(item.get("output")), _contributions(item)) for item in rows
                ),
            )
        )
    return tuple(sections)


def _bars(ranked: list[dict[str, Any]]) -> tuple[Bar, ...]:
    def reach(item: dict[str, Any], name: str) -> float:
        value = item.get(name)
        return float(value) if isinstance(value, (int, float)) else float(item["mean_abs"])

    widest = max(reach(item, "high") for item in ranked) or 1.0
    return tuple(
        Bar(
            label=str(item.get("feature", "")),
            words=interval(item["mean_abs"], item.get("low"), item.get("high")),
            share=round(100 * float(item["mean_abs"]) / widest, 2),
            low=round(100 * reach(item, "low") / widest, 2),
            high=round(100 * reach(item, "high") / widest, 2),
        )
        for item in ranked
    )


_CONTRIBUTIONS_SHOWN = 5


def _contributions(row: dict[str, Any]) -> str:
    shown = _records(row, "contributions")[:_CONTRIBUTIONS_SHOWN]
    return ", ".join(f"{item.get('feature')} {_signed(item.get('contribution'))}" for item in shown)


def _signed(value: object) -> str:
    return f"{value:+.3f}" if isinstance(value, (int, float)) else number(value)


def _provenance(evidence: Evidence) -> tuple[tuple[str, Cell], ...]:
    return (
        ("Id", code(evidence.id)),
        ("About", evidence.subject if isinstance(evidence.subject, str) else link(evidence.subject)),
        ("Digest of what it is about", whole(evidence.subject_digest)),
        ("Digest of this evidence", whole(evidence.digest)),
        ("Measured by", measured_by(evidence)),
        ("Answered for by", link(evidence.producer, evidence.producer.printed_name)),
        ("Type", f"{evidence.type}, schema version {evidence.schema_version}"),
        ("Collected", moment(evidence.collected_at)),
        ("Counts until", moment(evidence.valid_until)),
        ("Deposited", moment(evidence.deposited_at)),
        ("Check it yourself", command(f"sha256sum {evidence.id}.json")),
    )


_LAID_OUT = {"criteria", "groups", "global_importance", "local", "receipt"}


def _rest(evidence: Evidence) -> tuple[Section, ...]:
    shown = _LAID_OUT | set(_facts_of(evidence))
    rest = {name: value for name, value in evidence.payload.items() if name not in shown}
    if not rest:
        return ()
    return (Facts(title="Also stated", rows=tuple((_title(name), nested(value)) for name, value in rest.items())),)


_TITLES = {"auc": "AUC", "unknown": "Rows without a value"}


def _title(name: str) -> str:
    return _TITLES.get(name) or name.replace("_", " ").capitalize()


def _receipt(payload: dict[str, Any]) -> tuple[Section, ...]:
    receipt = payload.get("receipt")
    if receipt is None:
        return ()
    return (
        Facts(
            title="Receipt",
            note="All it takes to compute the same again.",
            rows=(("Receipt", nested(receipt)),),
            folded=True,
        ),
    )


def _document_download(request: HttpRequest, evidence: Evidence) -> HttpResponse:  # noqa: ARG001
    return attachment(bytes(evidence.document), f"{evidence.id}.json", "application/json")
