"""Which tier a system has, from which assessment, and whether what that rested on is still so."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from textwrap import shorten

from django.db.models import QuerySet

from governance.enums import DecisionState
from governance.models import (
    AiSystem,
    Decision,
    ModelDescription,
    ModelVersion,
    TierAssessment,
    TierPublication,
    TierTemplateVersion,
)
from governance.policy.facts import FactValue
from governance.selectors.deployments import deployments_in_use
from governance.selectors.tier_fields import TIER_FIELDS, tier_fields
from governance.tiering.document import parse_template
from governance.tiering.errors import TierFieldsError
from governance.tiering.fields import FieldValue, Snapshot, value_words
from governance.tiering.template import TierTemplate

NO_TIER = ""
_SHOWN = 120


def templates_current(*, at: datetime) -> QuerySet[TierTemplateVersion]:
    """Give the newest published version of each tier template at a moment."""
    published = TierTemplateVersion.objects.filter(published_at__lte=at).select_related("template")
    return published.order_by("template_id", "-number").distinct("template_id")


@lru_cache(maxsize=64)
def template_parsed(document: str) -> TierTemplate:
    """Give the text of a published template in the form that can be evaluated."""
    return parse_template(document, fields=TIER_FIELDS)


def tiers_known(*, at: datetime) -> tuple[str, ...]:
    """Give the names of the tiers of all templates at a moment."""
    return tuple(sorted({tier for version in templates_current(at=at) for tier in version.tiers}))


def publications_current(*, at: datetime, **narrowed: object) -> QuerySet[TierPublication]:
    """Give the newest publication of each system at a moment: its assessment gives the system's tier."""
    published = TierPublication.objects.filter(published_at__lte=at, **narrowed)
    return (
        published.select_related("assessment__template_version__template", "assessment__system__owner")
        .order_by("system_id", "-number")
        .distinct("system_id")
    )


def tier_of(*, system_id: str, at: datetime) -> str:
    """Give the tier of a system at a moment, also a stale one; empty when it was never assessed."""
    current = (
        TierPublication.objects.filter(system=system_id, published_at__lte=at)
        .order_by("-number")
        .values_list("assessment__final", flat=True)
        .first()
    )
    return current or NO_TIER


@dataclass(frozen=True, slots=True)
class TierStanding:
    """What a system's tier is worth.

    Attributes:
        publication: Where it comes from, or None when there is none.
        stale: Why the system has to be assessed anew, in words; empty when it has not.
    """

    publication: TierPublication | None
    stale: tuple[str, ...] = ()

    @property
    def tier(self) -> str:
        """The tier, or nothing."""
        return self.publication.assessment.final if self.publication else NO_TIER

    @property
    def facts(self) -> dict[str, FactValue]:
        """What the rules of a policy see."""
        return {
            "system.tier": self.tier,
            "system.tier_assessed": self.publication is not None,
            "system.tier_stale": bool(self.stale),
        }


def tier_standing(*, system: AiSystem, at: datetime) -> TierStanding:
    """Give a system's tier at a moment, and why it is stale if it is."""
    publication = publications_current(at=at, system=system).first()
    if publication is None:
        return TierStanding(None)
    reasons = stale_reasons(assessments=[publication.assessment], at=at)
    return TierStanding(publication, reasons[publication.assessment_id])


def stale_reasons(*, assessments: Collection[TierAssessment], at: datetime) -> dict[str, tuple[str, ...]]:
    """Say of each assessment, published or not, what is no longer as it was; nothing where all is.

    1. A newer version of its template is published.
    2. A field that it used has another value now.

    As many queries for many as for one.
    """
    newest = {item.template_id: item for item in templates_current(at=at)}
    frozen = {item.id: _frozen(item) for item in assessments}
    systems = {item.system_id: item.system for item in assessments}
    names = {name for values in frozen.values() for name in values or ()}
    now = tier_fields(systems=systems.values(), names=names, at=at)
    return {
        item.id: (
            *_superseded(item.template_version, newest),
            *_changed(frozen[item.id], now[item.system_id]),
        )
        for item in assessments
    }


def tiers_stale_in_use(*, at: datetime) -> list[tuple[TierPublication, tuple[str, ...]]]:
    """Give the stale tiers of systems with something in use, or with a decision that passed and still counts."""
    standing = Decision.objects.filter(state=DecisionState.PASSED, expires_at__gt=at).exclude(ending__ended_at__lte=at)
    allowed = standing.values_list("model_version__model__system", flat=True)
    used = deployments_in_use(at=at).values_list("model_version__model__system", flat=True)
    current = list(publications_current(at=at, system__in={*allowed, *used}))
    reasons = stale_reasons(assessments=[item.assessment for item in current], at=at)
    return [(item, reasons[item.assessment_id]) for item in current if reasons[item.assessment_id]]


def tier_involved(*, system: AiSystem) -> frozenset[str]:
    """Give the ids of who answers for a system or made something in it: no independent judge of its tier.

    Its owner, the authors of its models' versions and who registered them, and whoever was ever described as owner or
    developer of one of its models.
    """
    versions = ModelVersion.objects.filter(model__system=system).values_list("author_id", "registered_by_id")
    described = ModelDescription.objects.filter(model__system=system).values_list("owner_id", "developer_id")
    people = {system.owner_id, *(one for pair in (*versions, *described) for one in pair)}
    return frozenset(one for one in people if one)


def _superseded(version: TierTemplateVersion, newest: dict[str, TierTemplateVersion]) -> Iterable[str]:
    last = newest.get(version.template_id)
    if last and last.number > version.number:
        yield f"{version.template} has a newer version, {last.number}; this was assessed under version {version.number}"


def _frozen(assessment: TierAssessment) -> Mapping[str, FieldValue | None] | None:
    """Give the frozen fields; None where a row was written that no service wrote."""
    try:
        return Snapshot.from_bytes(bytes(assessment.snapshot), TIER_FIELDS).values
    except TierFieldsError:
        return None


def _changed(frozen: Mapping[str, FieldValue | None] | None, now: dict[str, FieldValue | None]) -> Iterable[str]:
    if frozen is None:
        yield "its frozen fields cannot be read"
        return
    for name, value in frozen.items():
        if now[name] != value:
            yield f"{name} was {_short(value)} and is {_short(now[name])}"


def _short(value: FieldValue | None) -> str:
    return shorten(value_words(value), _SHOWN, placeholder="...")
