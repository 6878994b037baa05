"""Evidence payloads as the facts that a report prints."""

from typing import Any

from audit.enums import LineageEvent
from explain.fairness.intervals import wilson
from governance.enums import EvidenceType
from governance.models import Evidence, ModelVersion
from reports.content import (
    BiasAssessment,
    Citation,
    Criterion,
    Explanation,
    Group,
    Importance,
    Metric,
    Particular,
    Performance,
)
from reports.selectors.citations import Citations

_FOUR_FIFTHS = 0.8
_METRIC_WORDS = {
    "demographic_parity_ratio": "Demographic parity ratio",
    "demographic_parity_difference": "Demographic parity difference",
    "adverse_impact_ratio": "Adverse impact ratio",
    "equalized_odds_difference": "Equalized odds difference",
}


def evidence_latest(version: ModelVersion, kind: EvidenceType) -> Evidence | None:
    """Give the newest evidence of a kind that the product measured itself."""
    return Evidence.objects.filter(model_version=version, type=kind, measured=True).order_by("-deposited_at").first()


def explanation_facts(evidence: Evidence, citations: Citations) -> Explanation:
    """Give an explanation as a report prints it."""
    payload, receipt = evidence.payload, evidence.payload["receipt"]
    return Explanation(
        method=f"SHAP values, {receipt['engine']}",
        unit="log-odds" if receipt["output_space"] == "margin" else receipt["output_space"],
        n=receipt["rows"],
        interval=receipt["interval"],
        features=tuple(
            Importance(item["feature"], item["mean_abs"], item["low"], item["high"])
            for item in payload["global_importance"]
        ),
        receipt=_receipt(receipt, ("features", "parameters")),
        source=_cited(evidence, citations),
    )


def performance_facts(evidence: Evidence, citations: Citations) -> Performance:
    """Give what a bias assessment measured of the model as a whole."""
    payload = evidence.payload
    n = payload["rows"]
    low, high = wilson(round(payload["accuracy"] * n), n)
    metrics = [Metric("Accuracy at the operating point", _data_words(evidence), n, payload["accuracy"], low, high)]
    if payload["auc"] is not None:
        metrics.append(Metric("Area under the ROC curve", _data_words(evidence), n, payload["auc"], None, None))
    return Performance(
        tuple(metrics), "95 % Wilson score for accuracy; none computed for the area", _cited(evidence, citations)
    )


def bias_facts(evidence: Evidence, citations: Citations) -> tuple[BiasAssessment, ...]:
    """Give a bias assessment as a report prints it, one for each sensitive column."""
    columns = dict.fromkeys(group["column"] for group in evidence.payload["groups"])
    return tuple(_column_facts(evidence, column, citations) for column in columns)


def _column_facts(evidence: Evidence, column: str, citations: Citations) -> BiasAssessment:
    payload, parameters = evidence.payload, evidence.payload["receipt"]["parameters"]
    groups = [group for group in payload["groups"] if group["column"] == column]
    reference = next((group["group"] for group in groups if group["is_reference"]), "none")
    return BiasAssessment(
        column=column,
        favourable=f"predicted {parameters['label']}: {parameters['favourable']}",
        data=_data_words(evidence),
        reference=reference,
        interval=payload["receipt"]["intervals"],
        groups=tuple(
            Group(
                name=group["group"],
                n=group["n"],
                selection_rate=group["selection_rate"],
                low=group["selection_rate_low"],
                high=group["selection_rate_high"],
                tpr=group["true_positive_rate"],
                fpr=group["false_positive_rate"],
            )
            for group in groups
        ),
        criteria=tuple(
            _criterion(item, groups)
            for item in payload["criteria"]
            if item["column"] == column and item["line"] is not None
        ),
        source=_cited(evidence, citations),
    )


def _criterion(item: dict[str, Any], groups: list[dict[str, Any]]) -> Criterion:
    ratio = item["metric"].endswith("_ratio")
    worst = next(
        (group for group in groups if group.get(item["metric"]) == item["value"] and not group["is_reference"]), {}
    )
    screen = "; four-fifths screen after 29 CFR 1607.4(D)"
    return Criterion(
        name=_METRIC_WORDS[item["metric"]],
        verdict=item["verdict"],
        observed=item["value"],
        low=worst.get(f"{item['metric']}_low"),
        high=worst.get(f"{item['metric']}_high"),
        comparison=">=" if ratio else "<=",
        threshold=item["line"],
        threshold_source="Test plan" + (screen if ratio and item["line"] == _FOUR_FIFTHS else ""),
        message=item["reason"],
    )


def _data_words(evidence: Evidence) -> str:
    return f"data set {evidence.payload['dataset_digest'][:19]}…, {evidence.payload['rows']} rows"


def _cited(evidence: Evidence, citations: Citations) -> Citation:
    return citations.cite(LineageEvent.EVIDENCE_DEPOSITED, evidence.id, evidence.digest)


def _receipt(receipt: dict[str, Any], left_out: tuple[str, ...]) -> tuple[Particular, ...]:
    """Flatten a receipt into labelled lines; what is long stands in the evidence itself."""
    lines = []
    for name, value in receipt.items():
        if name in left_out or value is None:
            continue
        if isinstance(value, dict):
            lines += [Particular(f"{name.replace('_', ' ')}: {part}", str(inner)) for part, inner in value.items()]
        else:
            lines.append(Particular(name.replace("_", " "), str(value)))
    return tuple(lines)
