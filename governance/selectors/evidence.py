"""The evidence that rules see, and the subjects that evidence can be about."""

import re
from datetime import datetime
from functools import lru_cache

from django.db.models import Q

from governance.enums import LineageKind, LineageRole, Role
from governance.errors import UnknownArtifactError
from governance.evidence.errors import EvidenceRefusedError, Fault
from governance.evidence.identity import ORGANIZATION
from governance.evidence.registry import About
from governance.models import (
    AiSystem,
    DatasetVersion,
    Decision,
    Evidence,
    LineageEdge,
    ModelVersion,
    PolicyVersion,
    SignedStatement,
)
from governance.policy.document import parse_policy
from governance.policy.evaluation import Context, EvidenceFacts, evidence_fields
from governance.policy.facts import FINDING_FACTS, MOVING_FACTS, TIER_FACTS, Vocabulary
from governance.selectors import model_version_get, system_get
from governance.selectors.evidence_types import definitions_current, vocabulary_current
from governance.selectors.findings import finding_facts
from governance.selectors.scope import EVERYTHING, Sight
from governance.selectors.tiers import tier_standing
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import DigestError
from modelnotary.times import format_time

type EvidenceSubject = ModelVersion | DatasetVersion | AiSystem | None
"""What evidence is about; None is the organization."""

_SYSTEM_PREFIX = "system:"
_RELATED = ("superseded_by__acceptance", "statement__key__revocation")


def evidence_subject(*, about: About, name: str, seen_by: Sight = EVERYTHING) -> EvidenceSubject:
    """Give what a deposit names, if it is seen: a digest, `system:` with its id or short name, or `organization`.

    Raises:
        EvidenceRefusedError: The name is of another kind than the type of evidence is about.
        UnknownArtifactError, UnknownRecordError: Nothing is registered under it.
    """
    if about is About.ORGANIZATION and name == ORGANIZATION:
        return None
    if about is About.SYSTEM and name.startswith(_SYSTEM_PREFIX):
        return system_get(name=name.removeprefix(_SYSTEM_PREFIX), seen_by=seen_by)
    if about in {About.MODEL_VERSION, About.DATASET_VERSION}:
        try:
            digest = Digest.from_text(name)
        except DigestError as error:
            raise EvidenceRefusedError((Fault("/subject", str(error)),)) from error
        if about is About.DATASET_VERSION:
            return _dataset_version_get(digest)
        return model_version_get(digest=digest, seen_by=seen_by)
    wanted = {About.SYSTEM: '"system:" and its id or short name', About.ORGANIZATION: f'"{ORGANIZATION}"'}
    raise EvidenceRefusedError((Fault("/subject", f"this type is about the {about}: give {wanted[about]}"),))


def _dataset_version_get(digest: Digest) -> DatasetVersion:
    version = DatasetVersion.objects.select_related("dataset").filter(artifact=digest.text).first()
    if version is None:
        raise UnknownArtifactError(f"no version of a data set with digest {digest} is registered")
    return version


def evidence_context(version: ModelVersion, *, policy: PolicyVersion | None, at: datetime) -> Context:
    """Give everything that the rules see of a model version at a moment.

    Evidence about the version itself is always there. Of evidence about its system, its training data and the
    organization only the types that the policy reads: else a notice of one system would close the gate of another.
    """
    return _context(version, policy, at, left_out=frozenset())


def evidence_compared(version: ModelVersion, *, policy: PolicyVersion | None, at: datetime) -> Context:
    """Give what `rests_on` compares: the same, without looking up the moving facts that the policy does not read."""
    return _context(version, policy, at, left_out=_unread(policy))


def _context(version: ModelVersion, policy: PolicyVersion | None, at: datetime, *, left_out: frozenset[str]) -> Context:
    runs = LineageEdge.objects.filter(
        role=LineageRole.PRODUCED, target_id=version.id, source_kind=LineageKind.RUN
    ).values("source_id")
    trained = LineageEdge.objects.filter(role=LineageRole.TRAINED_ON, target_id__in=runs).values("source_id")
    around = Q(system=version.model.system) | Q(about=About.ORGANIZATION) | Q(dataset_version__in=trained)
    vocabulary = vocabulary_current()
    read = types_read(policy.document, vocabulary) if policy else frozenset()
    evidence = Evidence.objects.filter(Q(model_version=version) | (around & Q(type__in=read)))
    evidence = evidence.select_related(*_RELATED).defer("statement__envelope").order_by("id")
    items = tuple(_facts(item, vocabulary) for item in evidence)
    return Context(
        model={
            "model.format": version.format,
            "model.has_training_data": trained.exists(),
            **({} if left_out >= FINDING_FACTS else finding_facts(version)),
            "system.contains_phi": version.model.system.contains_phi,
            **({} if left_out >= TIER_FACTS else tier_standing(system=version.model.system, at=at).facts),
        },
        evidence=items,
        at=format_time(at),
        types=definitions_current(read | {item.type for item in items}),
    )


@lru_cache(maxsize=256)
def types_read(document: str, vocabulary: Vocabulary) -> frozenset[str]:
    """Give the types of evidence that the rules of a published policy read."""
    policy = parse_policy(document, roles=frozenset(Role.values), vocabulary=vocabulary)
    return frozenset(rule.evidence for rule in policy.rules if rule.evidence)


def _facts(item: Evidence, vocabulary: Vocabulary) -> EvidenceFacts:
    claim = getattr(item, "superseded_by", None)
    statement: SignedStatement | None = getattr(item, "statement", None)
    return EvidenceFacts(
        id=item.id,
        digest=item.digest,
        type=item.type,
        fields=evidence_fields(
            vocabulary.evidence.get(item.type, ()),
            item.payload,
            measured=item.measured,
            signed=statement is not None,
        ),
        collected_at=format_time(item.collected_at),
        valid_until=format_time(item.valid_until),
        superseded_by=claim.successor_id if claim and hasattr(claim, "acceptance") else "",
        distrusted=statement.distrust if statement else "",
    )


def evidence_set_digest(context: Context) -> Digest:
    """Give one digest for a set of evidence, and what of it was superseded or is distrusted.

    Signatures and decisions are bound to it.
    """
    return Digest.of(canonical_bytes(sorted(map(_bound_as, context.evidence))))


def _bound_as(item: EvidenceFacts) -> str:
    superseded = f" superseded by {item.superseded_by}" if item.superseded_by else ""
    return f"{item.digest}{superseded}{' distrusted' if item.distrusted else ''}"


def rests_on(decision: Decision, context: Context) -> bool:
    """Tell whether a decision was made on exactly these facts, as far as its policy reads them."""
    unread = _unread(decision.policy_version)
    then, now = (
        {name: value for name, value in facts.items() if name not in unread}
        for facts in (decision.context["model"], context.model)
    )
    return decision.evidence_set_digest == evidence_set_digest(context).text and then == now


def _unread(policy: PolicyVersion | None) -> frozenset[str]:
    """Give the moving facts that a policy does not read."""
    text = policy.document if policy else ""
    return frozenset(name for name in MOVING_FACTS if not re.search(rf"{re.escape(name)}\b", text))
