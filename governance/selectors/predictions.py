"""What the records said of a model in an environment at a moment, and the predictions about a person."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from audit.subject_keys import SubjectKey
from governance.enums import DecisionStanding
from governance.models import Decision, Deployment, ModelVersion, Override, PredictionRecord
from governance.selectors.exceptions import overrides_in_force
from governance.selectors.gate import decision_standing

_ASKED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Approval:
    """What stood behind a model in an environment at a moment.

    Attributes:
        decision: The newest decision about it there by then, or None.
        standing: What that was worth at the moment; empty without one.
        override: What allowed it although the decision denied, if something did.
        deployment: Under which it was in use, as far as recorded.
    """

    decision: Decision | None = None
    standing: str = ""
    override: Override | None = None
    deployment: Deployment | None = None

    @property
    def is_approved(self) -> bool:
        """Whether a decision that stood, or an override, allowed it."""
        return self.standing == DecisionStanding.PASSED or self.override is not None


@dataclass(slots=True)
class Approvals:
    """Asks for many moments, and reads what there is about a version in an environment once."""

    _decisions: dict[tuple[str, str], list[Decision]] = field(default_factory=dict)
    _deployments: dict[tuple[str, str], list[Deployment]] = field(default_factory=dict)

    def at(self, version: ModelVersion, environment: str, moment: datetime) -> Approval:
        """Give what stood behind a version in an environment at a moment."""
        decision = next((item for item in self._decided(version, environment) if item.evaluated_at <= moment), None)
        deployment = self._in_use(version, environment, moment)
        if decision is None:
            return Approval(deployment=deployment)
        standing = _standing(decision, moment)
        denied = standing in {DecisionStanding.FAILED, DecisionStanding.ERROR}
        override = overrides_in_force(at=moment).filter(decision=decision).first() if denied else None
        return Approval(decision, standing.value, override, deployment)

    def _decided(self, version: ModelVersion, environment: str) -> list[Decision]:
        place = (version.id, environment)
        if place not in self._decisions:
            decisions = Decision.objects.filter(model_version=version, environment=environment)
            newest = decisions.select_related("ending").order_by("-evaluated_at", "-id")
            self._decisions[place] = list(newest.defer("context", "context_document", "rules", "attestation"))
        return self._decisions[place]

    def _in_use(self, version: ModelVersion, environment: str, moment: datetime) -> Deployment | None:
        place = (version.model_id, environment)
        if place not in self._deployments:
            deployed = Deployment.objects.filter(model_version__model=version.model_id, environment=environment)
            self._deployments[place] = list(deployed.select_related("retirement").order_by("-deployed_at", "-id"))
        last = next((item for item in self._deployments[place] if item.deployed_at <= moment), None)
        if last is None or last.model_version_id != version.pk:
            return None
        retirement = getattr(last, "retirement", None)
        return None if retirement and retirement.retired_at <= moment else last


def _standing(decision: Decision, moment: datetime) -> DecisionStanding:
    if decision.decided_at is None or decision.decided_at > moment:
        return DecisionStanding.PENDING
    return decision_standing(decision, at=moment)


def day_of(moment: datetime) -> date:
    """Give the day (UTC) under which what happened at a moment is filed."""
    return moment.astimezone(UTC).date()


def pseudonym_of(key: SubjectKey, day: date, number: int) -> bytes:
    """Give the pseudonym under which a prediction about a person on a day is filed, counted from 0.

    Each row has its own, so that nothing but the person's key tells that two rows are about one person.
    """
    return key.pseudonym(f"prediction/{day.isoformat()}/{number}".encode())


def predictions_counted(places: list[tuple[SubjectKey, date]]) -> list[int]:
    """Give how many predictions are filed for each of these persons and days: their pseudonyms have no gap.

    All are asked for together, a few more of each where there may be more.
    """
    counts = [0] * len(places)
    asking, step = list(range(len(places))), 1
    while asking:
        names = {
            pseudonym_of(*places[index], number): index
            for index in asking
            for number in range(counts[index], counts[index] + step)
        }
        stored = PredictionRecord.objects.filter(pseudonym__in=names).values_list("pseudonym", flat=True)
        found = Counter(names[bytes(name)] for name in stored)
        for index, number in found.items():
            counts[index] += number
        asking, step = [index for index, number in found.items() if number == step], _ASKED_AT_ONCE
    return counts


def predictions_about(key: SubjectKey, day: date) -> list[PredictionRecord]:
    """Give the predictions about a person on a day (UTC), the earliest first."""
    (count,) = predictions_counted([(key, day)])
    names = [pseudonym_of(key, day, number) for number in range(count)]
    records = PredictionRecord.objects.filter(pseudonym__in=names)
    related = ("model_version__model", "model", "decision__policy_version__policy", "deployment", "override", "batch")
    return list(records.select_related(*related).prefetch_related("human_overrides").order_by("at", "id"))
