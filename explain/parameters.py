"""The parameters of an assessment, read from JSON and refused with a reason where they make no sense.

`from_mapping` and `to_mapping` are inverse: what a receipt records starts the same assessment again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from explain.errors import InvalidParameterError
from explain.fairness.metrics import Metric
from explain.fairness.plan import DEFAULT_LINES, MIN_GROUP, BiasPlan
from explain.fields import Fields
from explain.shapley.attributions import OutputSpace
from explain.tables import Encoding

CROSS_CHECK_ROWS = 200
LOCAL_ROWS = 10


@dataclass(frozen=True)
class ExplanationParameters:
    """How to explain a model on a table."""

    encoding: Encoding = field(default_factory=dict)
    """For each feature of words: word to number, as the model was trained."""
    output: OutputSpace = OutputSpace.MARGIN
    seed: int = 0
    """Of the sample of rows that is computed a second time."""
    cross_check_rows: int = CROSS_CHECK_ROWS
    local_rows: int = LOCAL_ROWS
    """How many rows, from the highest output down, are explained one by one."""

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> Self:
        """Read and check parameters. A `threshold`, which belongs to the model version, is left aside.

        Raises:
            InvalidParameterError: One is unknown or out of its range.
        """
        fields = Fields(raw, known={"encoding", "output", "seed", "cross_check_rows", "local_rows", "threshold"})
        return cls(
            encoding=fields.encoding("encoding"),
            output=fields.member("output", OutputSpace, default=OutputSpace.MARGIN),
            seed=fields.count("seed", default=0, least=0),
            cross_check_rows=fields.count("cross_check_rows", default=CROSS_CHECK_ROWS, least=1),
            local_rows=fields.count("local_rows", default=LOCAL_ROWS, least=0),
        )

    def to_mapping(self) -> dict[str, Any]:
        """The parameters as plain JSON values, defaults written out."""
        return {
            "encoding": _plain_encoding(self.encoding),
            "output": self.output.value,
            "seed": self.seed,
            "cross_check_rows": self.cross_check_rows,
            "local_rows": self.local_rows,
        }


_PLAN = frozenset({"min_group", "lines", "reference"})


@dataclass(frozen=True)
class BiasParameters:
    """How to assess a model's decisions on a table."""

    label: str
    """The column of actual outcomes; it holds two values."""
    favourable: str
    """The value a person hopes for: `no` where the label says that a mortgage was denied."""
    sensitive: tuple[str, ...]
    """The columns whose groups are compared; the model need not know them."""
    threshold: float
    """At or above this probability the model predicts `positive`."""
    positive: str = "yes"
    """The value whose probability the model gives."""
    plan: BiasPlan = field(default_factory=BiasPlan)
    encoding: Encoding = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> Self:
        """Read and check parameters.

        Raises:
            InvalidParameterError: One is missing, unknown, or out of its range.
        """
        known = {"label", "favourable", "sensitive", "threshold", "positive", "encoding", *_PLAN}
        fields = Fields(raw, known=known)
        sensitive = fields.texts("sensitive")
        return cls(
            label=fields.text("label"),
            favourable=fields.text("favourable"),
            sensitive=sensitive,
            threshold=fields.fraction("threshold"),
            positive=fields.text("positive", default="yes"),
            plan=_plan(fields, sensitive),
            encoding=fields.encoding("encoding"),
        )

    def to_mapping(self) -> dict[str, Any]:
        """The parameters as plain JSON values, defaults written out."""
        return {
            "label": self.label,
            "favourable": self.favourable,
            "sensitive": list(self.sensitive),
            "threshold": self.threshold,
            "positive": self.positive,
            "encoding": _plain_encoding(self.encoding),
            **_plain_plan(self.plan),
        }


@dataclass(frozen=True)
class PredictionParameters:
    """How to assess finished predictions in a table."""

    label: str
    """The column of actual outcomes; it holds two values."""
    prediction: str
    """The column of predicted outcomes, in the same two values."""
    sensitive: tuple[str, ...]
    score: str | None = None
    """A column of numbers that speak for the value that says yes, true or 1 (else for the favourable one)."""
    favourable: str | None = None
    """The value a person hopes for; without one it is the value that says yes, true or 1."""
    plan: BiasPlan = field(default_factory=BiasPlan)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> Self:
        """Read and check parameters.

        Raises:
            InvalidParameterError: One is missing, unknown, or out of its range.
        """
        fields = Fields(raw, known={"label", "prediction", "sensitive", "score", "favourable", *_PLAN})
        sensitive = fields.texts("sensitive")
        return cls(
            label=fields.text("label"),
            prediction=fields.text("prediction"),
            sensitive=sensitive,
            score=fields.optional_text("score"),
            favourable=fields.optional_text("favourable"),
            plan=_plan(fields, sensitive),
        )

    def to_mapping(self) -> dict[str, Any]:
        """The parameters as plain JSON values, defaults written out."""
        return {
            "label": self.label,
            "prediction": self.prediction,
            "sensitive": list(self.sensitive),
            "score": self.score,
            "favourable": self.favourable,
            **_plain_plan(self.plan),
        }


def _plain_plan(plan: BiasPlan) -> dict[str, Any]:
    return {
        "min_group": plan.min_group,
        "lines": {metric.value: line for metric, line in plan.lines.items()},
        "reference": dict(plan.references),
    }


def _plan(fields: Fields, sensitive: tuple[str, ...]) -> BiasPlan:
    references = fields.words("reference")
    if strangers := sorted(set(references) - set(sensitive)):
        raise InvalidParameterError("reference", f"{', '.join(strangers)} is not among the sensitive columns.")
    lines = fields.numbers("lines", default={metric.value: line for metric, line in DEFAULT_LINES.items()})
    known = [metric.value for metric in Metric]
    if unknown := sorted(set(lines) - set(known)):
        raise InvalidParameterError("lines", f"{', '.join(unknown)} is none of {', '.join(known)}.")
    return BiasPlan(
        min_group=fields.count("min_group", default=MIN_GROUP, least=1),
        lines={Metric(name): line for name, line in lines.items()},
        references=references,
    )


def _plain_encoding(encoding: Encoding) -> dict[str, dict[str, float]]:
    return {column: dict(words) for column, words in encoding.items()}
