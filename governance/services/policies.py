"""Policies: one person drafts, another one publishes."""

from datetime import datetime

from django.db import transaction
from django.db.models import Max

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError
from governance.models import Policy, PolicyDraft, PolicyVersion, PolicyWithdrawal, User
from governance.policy.document import PolicyDocument, parse_policy
from governance.policy.errors import Diagnostic, PolicyError
from governance.selectors.policies import attachments_standing
from governance.services.locks import name_lock
from governance.services.officers import Officer, person_require
from governance.services.steps import officer_step, other_person_require, step_hindrance, words_require
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject

PUBLISHERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
"""Who may publish: officers, who answer for the rules; never whoever wrote the text."""


@transaction.atomic
def policy_draft(*, actor: User, document: str, at: datetime) -> PolicyDraft:
    """Compile a policy and keep it for somebody else to publish.

    The text of an open draft, or of the newest version, gives that draft and not a second one.

    Raises:
        PolicyError: The document has faults; all of them are listed.
        ConflictError: The policy is attached to another environment than the text is written for.
    """
    parsed = parse_policy(document, roles=frozenset(Role.values))
    name_lock("governance.policies")
    policy = Policy.objects.filter(slug=parsed.policy).first()
    if policy:
        _require_attachable(policy, parsed, at)
    digest = Digest.of(document.encode())
    if standing := _standing(parsed.policy, policy, digest):
        return standing
    draft = PolicyDraft.objects.create(
        slug=parsed.policy, document=document, digest=digest.text, drafted_by=actor, drafted_at=at
    )
    event_record(
        event=LineageEvent.POLICY_DRAFTED,
        actor=actor_of(actor),
        subject=Subject("policy_draft", draft.id, digest),
        data={"slug": draft.slug},
        at=at,
    )
    return draft


def policy_publish(*, officer: Officer, draft: PolicyDraft, at: datetime) -> PolicyVersion:
    """Publish a draft as the next version of its policy, for good; again by the same officer it is the same version.

    Raises:
        HumanRequiredError: A service account tries.
        SeparationOfDutiesError: Whoever wrote it, a superuser, or somebody who is no officer tries.
        ReauthenticationError: The password is wrong.
        ConflictError: The draft was withdrawn or is published already, or the policy is attached to another environment
            than the text is written for.
    """
    subject = Subject("policy_draft", draft.id)
    with officer_step(officer=officer, roles=PUBLISHERS, step="policy.publish", subject=subject, at=at):
        other_person_require(officer.user, draft.drafted_by)
        name_lock("governance.policies")
        _require_not_withdrawn(draft)
        published = PolicyVersion.objects.filter(draft=draft).first()
        if published and published.published_by == officer.user:
            return published
        _require_unpublished(draft)
        return _published(officer.user, draft, at)


@transaction.atomic
def policy_withdraw(*, actor: User, draft: PolicyDraft, reason: str, at: datetime) -> PolicyWithdrawal:
    """Take a draft back: its author does, or an officer who could publish it.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: Neither the author nor an officer tries.
        ConflictError: The draft is published or withdrawn already.
        RejectedInputError: The reason is too short.
    """
    if actor.pk != draft.drafted_by_id:
        person_require(actor, *PUBLISHERS)
    name_lock("governance.policies")
    _require_not_withdrawn(draft)
    _require_unpublished(draft)
    withdrawal = PolicyWithdrawal.objects.create(
        draft=draft, reason=words_require(reason, "/reason"), withdrawn_by=actor, withdrawn_at=at
    )
    event_record(
        event=LineageEvent.POLICY_WITHDRAWN,
        actor=actor_of(actor),
        subject=Subject("policy_draft", draft.id, Digest.from_text(draft.digest)),
        data={"withdrawal": withdrawal.id, "slug": draft.slug, "reason": withdrawal.reason},
        at=at,
    )
    return withdrawal


def publishing_hindrance(*, user: User, draft: PolicyDraft) -> str | None:
    """Say in words why a person cannot publish a draft, so that nobody is offered what would be refused."""
    if hindrance := step_hindrance(user=user, roles=PUBLISHERS, others=(draft.drafted_by,)):
        return hindrance
    return None if draft.state == "open" else f"draft {draft.id} is {draft.state}"


def policy_check(*, document: str) -> list[Diagnostic]:
    """Give every fault of a document, and keep nothing."""
    try:
        parse_policy(document, roles=frozenset(Role.values))
    except PolicyError as error:
        return error.diagnostics
    return []


def policy_document(version: PolicyVersion) -> PolicyDocument:
    """Give a published version in the form that can be evaluated."""
    return parse_policy(version.document, roles=frozenset(Role.values))


def _require_attachable(policy: Policy, parsed: PolicyDocument, at: datetime) -> None:
    """Demand that a text may be in force wherever its policy is: a new version is in force there at once."""
    for attachment in attachments_standing(policy=policy, at=at):
        if parsed.environment and parsed.environment != attachment.environment:
            raise ConflictError(
                f'{policy} is attached to environment "{attachment.environment}", and this text is written for '
                f'"{parsed.environment}"; detach it there first, or give the text a policy of its own'
            )


def _standing(slug: str, policy: Policy | None, digest: Digest) -> PolicyDraft | None:
    newest = policy.versions.select_related("draft").order_by("-number").first() if policy else None
    if newest and newest.draft and newest.digest == digest.text:
        return newest.draft
    waiting = PolicyDraft.objects.filter(slug=slug, digest=digest.text, version=None, withdrawal=None)
    return waiting.first()


def _published(publisher: User, draft: PolicyDraft, at: datetime) -> PolicyVersion:
    parsed = parse_policy(draft.document, roles=frozenset(Role.values))
    policy, _ = Policy.objects.get_or_create(slug=parsed.policy, defaults={"created_at": at})
    _require_attachable(policy, parsed, at)
    version = PolicyVersion.objects.create(
        policy=policy,
        number=(policy.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
        draft=draft,
        document=draft.document,
        digest=draft.digest,
        published_by=publisher,
        published_at=at,
    )
    event_record(
        event=LineageEvent.POLICY_PUBLISHED,
        actor=actor_of(publisher),
        subject=Subject("policy_version", version.id, Digest.from_text(version.digest)),
        data={
            "policy": policy.id,
            "slug": policy.slug,
            "number": version.number,
            "draft": draft.id,
            "drafted_by": draft.drafted_by_id,
        },
        at=at,
    )
    return version


def _require_not_withdrawn(draft: PolicyDraft) -> None:
    if PolicyWithdrawal.objects.filter(draft=draft).exists():
        raise ConflictError(f"draft {draft.id} was withdrawn; draft the text anew")


def _require_unpublished(draft: PolicyDraft) -> None:
    if version := PolicyVersion.objects.filter(draft=draft).first():
        raise ConflictError(f"draft {draft.id} is published already, as {version}")
