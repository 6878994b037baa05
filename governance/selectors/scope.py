"""Business units: which records somebody sees, and which unit a record belongs to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model as DjangoModel
from django.db.models import Q, QuerySet

from governance.enums import Role
from governance.errors import ScopeError
from governance.models import Decision, Deployment, LineageEdge, ModelVersion, RoleGrant, RoleProposal, User

_VERSION = "model_version__model__system"
_DECISION = f"decision__{_VERSION}"

# How each kind of record leads to the AI systems that it hangs on. What is not here hangs on none: data sets, runs,
# policies, accounts. A record that leads to several is seen by who sees them all.
SYSTEM_PATHS: dict[str, tuple[str, ...]] = {
    "governance.AiSystem": ("",),
    "governance.AliasBinding": ("model__system",),
    "governance.ApprovalRequest": (_DECISION,),
    "governance.AttestationPeriod": ("system",),
    "governance.Decision": (_VERSION,),
    "governance.DecisionEnding": (_DECISION,),
    "governance.Deployment": (_VERSION,),
    "governance.Discrepancy": (f"deployment__{_VERSION}", _DECISION),
    "governance.Evidence": ("system", _VERSION),
    "governance.EvidenceSupersession": ("superseded__system", f"superseded__{_VERSION}"),
    "governance.Finding": ("system",),
    "governance.HumanOverride": (f"prediction__{_VERSION}",),
    "governance.Job": (_VERSION,),
    "governance.Model": ("system",),
    "governance.ModelDescription": ("model__system",),
    "governance.ModelVersion": ("model__system",),
    "governance.Override": (_DECISION,),
    "governance.PolicyException": ("system", _VERSION),
    "governance.PredictionRecord": (_VERSION, "model__system"),
    "governance.Retirement": (f"deployment__{_VERSION}",),
    "governance.RevocationProposal": (_DECISION,),
    "governance.Signature": (f"request__{_DECISION}",),
    "governance.SignedStatement": ("evidence__system", f"evidence__{_VERSION}"),
    "governance.SigningTicket": (f"request__{_DECISION}",),
    "governance.SystemDeclaration": ("system",),
    "governance.TierAssessment": ("system",),
    "reports.Document": (_VERSION,),
}
# The log of the whole organisation: its entries name records of every unit.
WHOLE_ONLY = frozenset({"audit.Entry"})
_NODES: tuple[type[DjangoModel], ...] = (ModelVersion, Deployment, Decision)


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody sees at a moment.

    Attributes:
        units: Ids of the business units whose systems are seen; None for all.
        common: Whether the systems of the whole organisation are seen too.
    """

    units: frozenset[str] | None
    common: bool = True

    def of[Record: DjangoModel](self, records: QuerySet[Record]) -> QuerySet[Record]:
        """Leave those of some records that are seen."""
        if self.units is None:
            return records
        label = records.model._meta.label  # noqa: SLF001 - Django's documented way to a model's name
        if label in WHOLE_ONLY:
            return records.none()
        if records.model is LineageEdge:
            return self._edges(records)
        paths = SYSTEM_PATHS.get(label, ())
        for path in paths:
            here = self._about(path)
            # One of several ways to a system: not taken, it stands in the way of nothing.
            records = records.filter(here | Q(**{f"{path}__isnull": True}) if len(paths) > 1 else here)
        return records

    def require_whole(self) -> None:
        """Demand that everything is seen, where what is read names records of every unit.

        Raises:
            ScopeError: Only some business units are seen.
        """
        if self.units is not None:
            raise ScopeError("entries of the ledger are about every business unit; this takes a role for all of them")

    def hidden(self, identities: set[str]) -> set[str]:
        """Give those of some model versions, deployments and decisions, by id, that are not seen."""
        if self.units is None:
            return set()
        found: set[str] = set()
        for model in _NODES:
            there: QuerySet[Any] = model._default_manager.filter(pk__in=identities)  # noqa: SLF001
            found |= set(there.values_list("pk", flat=True)) - set(self.of(there).values_list("pk", flat=True))
        return found

    def sees(self, record: DjangoModel) -> bool:
        """Tell whether one record is seen."""
        return self.units is None or self.of(type(record)._default_manager.filter(pk=record.pk)).exists()  # noqa: SLF001

    def _about(self, path: str) -> Q:
        unit = f"{path}__business_unit" if path else "business_unit"
        units = Q(**{f"{unit}__in": self.units})
        return units | Q(**{f"{unit}__isnull": True}) if self.common else units

    def _edges[Record: DjangoModel](self, edges: QuerySet[Record]) -> QuerySet[Record]:
        for model in _NODES:
            seen = self.of(model._default_manager.all()).values("pk")  # noqa: SLF001
            unseen = model._default_manager.exclude(pk__in=seen).values("pk")  # noqa: SLF001
            edges = edges.exclude(Q(source_id__in=unseen) | Q(target_id__in=unseen))
        return edges


EVERYTHING = Sight(None)
NOTHING = Sight(frozenset(), common=False)


def sight_of(*, actor: User, at: datetime) -> Sight:
    """Give what somebody sees at a moment.

    An administrator, and a service account without a unit, see everything. A person sees the units of the roles held
    then and what belongs to the whole organisation, and everything with a role for the whole of it. An auditor of some
    units sees these and nothing else. Whoever holds no role any more sees nothing; who never held one, but has a token,
    sees what belongs to the whole organisation.
    """
    if actor.is_superuser:
        return EVERYTHING
    if actor.is_service:
        return Sight(frozenset({actor.business_unit_id})) if actor.business_unit_id else EVERYTHING
    known = actor.role_grants.all()
    held = [grant for grant in known if grant.in_force(at)]
    if not held:
        return NOTHING if any(grant.valid_from <= at for grant in known) else Sight(frozenset())
    units = {grant.business_unit_id for grant in held}
    engaged = all(grant.role == Role.AUDITOR for grant in held)
    return EVERYTHING if None in units else Sight(frozenset(unit for unit in units if unit), common=not engaged)


def unit_of(record: DjangoModel) -> str | None:
    """Give the id of the business unit that a record belongs to, or None: the whole organisation.

    The record is one of those in `SYSTEM_PATHS`, or has a unit of its own.
    """
    if isinstance(record, RoleGrant | RoleProposal):
        return record.business_unit_id
    paths = SYSTEM_PATHS[record._meta.label]  # noqa: SLF001
    names = [f"{path}__business_unit" if path else "business_unit" for path in paths]
    found = type(record)._default_manager.filter(pk=record.pk).values_list(*names).get()  # noqa: SLF001
    return next((unit for unit in found if unit), None)
