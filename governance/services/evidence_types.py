"""The installation's own types of evidence: one officer drafts, another one publishes, and one can retire."""

from datetime import datetime

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError, UnknownRecordError
from governance.evidence.own_types import NAME, Definition, definition_require, own_type
from governance.models import EvidenceTypeDraft, EvidenceTypeRetirement, EvidenceTypeVersion, User
from governance.selectors.evidence_types import own_types
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.ledger.canonical import Json
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject

KEEPERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
"""Who drafts, publishes and retires types: officers, because policies rest on what the types say."""
TYPES_LIMIT = 200
_LOCK = "governance.evidence_types"


def evidence_type_draft(*, officer: Officer, definition: Definition, at: datetime) -> EvidenceTypeDraft:
    """Keep a definition for another officer to publish, as the next version of its type.

    Raises:
        EvidenceRefusedError: With every fault of the definition and its place.
        GovernanceError: The officer may not, the type was retired, or there are too many.
    """
    subject = Subject("evidence_type", definition.name if NAME.fullmatch(definition.name) else "unnamed")
    with officer_step(officer=officer, roles=KEEPERS, step="evidence_type.draft", subject=subject, at=at):
        name_lock(_LOCK)
        number = _require_next(definition)
        document = definition.to_bytes(number)
        draft = EvidenceTypeDraft.objects.create(
            name=definition.name,
            number=number,
            document=document,
            digest=Digest.of(document).text,
            drafted_by=officer.user,
            drafted_at=at,
        )
        _record(LineageEvent.EVIDENCE_TYPE_DRAFTED, Subject("evidence_type_draft", draft.id), officer.user, draft, at)
    return draft


def evidence_type_publish(*, officer: Officer, draft: EvidenceTypeDraft, at: datetime) -> EvidenceTypeVersion:
    """Publish a draft for good. Policies may name the type, and evidence of it is taken, at once.

    Raises:
        GovernanceError: The officer may not or drafted it, it is published already, the type was retired, or another
            version was published since it was drafted.
        EvidenceRefusedError: What is stored is no definition, or does not follow on the version before.
    """
    subject = Subject("evidence_type_draft", draft.id, Digest.from_text(draft.digest))
    with officer_step(officer=officer, roles=KEEPERS, step="evidence_type.publish", subject=subject, at=at):
        other_person_require(officer.user, draft.drafted_by)
        name_lock(_LOCK)
        if EvidenceTypeVersion.objects.filter(draft=draft).exists():
            raise ConflictError(f"{draft} is published already")
        kind = own_type(bytes(draft.document))
        stated = Definition(kind.name, kind.title, kind.description, kind.about, kind.fresh_days, kind.schema.document)
        if _require_next(stated) != draft.number:
            raise ConflictError(f"another version of {draft.name} was published since; draft it anew")
        version = EvidenceTypeVersion.objects.create(
            draft=draft,
            name=draft.name,
            number=draft.number,
            document=bytes(draft.document),
            digest=draft.digest,
            published_by=officer.user,
            published_at=at,
        )
        subject = Subject("evidence_type_version", version.id, Digest.from_text(version.digest))
        _record(LineageEvent.EVIDENCE_TYPE_PUBLISHED, subject, officer.user, draft, at, drafted_by=draft.drafted_by_id)
    return version


def evidence_type_retire(*, officer: Officer, name: str, reason: str, at: datetime) -> EvidenceTypeRetirement:
    """Take no more evidence of a type. What was deposited goes on counting, and policies may go on naming it.

    Raises:
        UnknownRecordError: No such type is the installation's own.
        GovernanceError: The officer may not, the reason says nothing, or it was retired before.
    """
    if name not in own_types():
        raise UnknownRecordError(f"no type {name} is this installation's own")
    subject = Subject("evidence_type", name)
    with officer_step(officer=officer, roles=KEEPERS, step="evidence_type.retire", subject=subject, at=at):
        name_lock(_LOCK)
        _require_not_retired(name)
        retirement = EvidenceTypeRetirement.objects.create(
            name=name, reason=words_require(reason, "/reason"), retired_by=officer.user, retired_at=at
        )
        event_record(
            event=LineageEvent.EVIDENCE_TYPE_RETIRED,
            actor=actor_of(officer.user),
            subject=subject,
            data={"retirement": retirement.id, "reason": retirement.reason},
            at=at,
        )
    return retirement


def publishing_hindrance(*, user: User, draft: EvidenceTypeDraft) -> str | None:
    """Say in words why a person cannot publish a draft, as far as it can be known beforehand, or nothing."""
    if hindrance := step_hindrance(user=user, roles=KEEPERS, others=(draft.drafted_by,)):
        return hindrance
    return f"{draft} is published already" if hasattr(draft, "version") else None


def _require_next(definition: Definition) -> int:
    """Give the number of the version that a definition would be, after demanding that it can be."""
    own = own_types()
    before = own.get(definition.name)
    definition_require(definition, before)
    _require_not_retired(definition.name)
    if before is None and len(own) >= TYPES_LIMIT:
        raise ConflictError(f"there are {TYPES_LIMIT} types of this installation's own already; no policy reads more")
    return before.version + 1 if before else 1


def _require_not_retired(name: str) -> None:
    if EvidenceTypeRetirement.objects.filter(name=name).exists():
        raise ConflictError(f"{name} was retired, and stays so; give the new type another name")


def _record(
    event: LineageEvent, subject: Subject, user: User, draft: EvidenceTypeDraft, at: datetime, **more: Json
) -> None:
    event_record(
        event=event,
        actor=actor_of(user),
        subject=subject,
        data={"name": draft.name, "number": draft.number, "definition": draft.digest, **more},
        at=at,
    )
