"""Policies: one person drafts, another one publishes."""

from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from governance.enums import Role
from governance.errors import ConflictError
from governance.models import Policy, PolicyDraft, PolicyVersion, PolicyWithdrawal, User
from governance.policy.document import PolicyDocument, parse_policy
from governance.policy.errors import Diagnostic, PolicyError
from governance.selectors.evidence_types import vocabulary_current
from governance.selectors.policies import attachments_standing
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.publications import PUBLISHERS, Shelf
from governance.services.steps import officer_step, other_person_require
from modelnotary.ledger.event import Subject

POLICIES = Shelf(
    name="policy",
    owner="policy",
    documents=Policy,
    drafts=PolicyDraft,
    withdrawals=PolicyWithdrawal,
    versions=PolicyVersion,
    drafted=LineageEvent.POLICY_DRAFTED,
    withdrawn=LineageEvent.POLICY_WITHDRAWN,
    published=LineageEvent.POLICY_PUBLISHED,
    lock="governance.policies",
)


@transaction.atomic
def policy_draft(*, actor: User, document: str, at: datetime) -> PolicyDraft:
    """Compile a policy and keep it for somebody else to publish.

    The text of an open draft, or of the newest version, gives that draft and not a second one.

    Raises:
        PolicyError: The document has faults; all of them are listed.
        ConflictError: The policy is attached to another environment than the text is written for.
    """
    parsed = policy_compile(document=document)
    name_lock(POLICIES.lock)
    _require_attachable(parsed, at)
    return POLICIES.draft(actor=actor, slug=parsed.policy, document=document, at=at)


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
        name_lock(POLICIES.lock)
        published = POLICIES.published_as(draft)
        if published and published.published_by == officer.user:
            return published
        POLICIES.require_open(draft)
        _require_attachable(policy_compile(document=draft.document), at)
        return POLICIES.publish(publisher=officer.user, draft=draft, at=at, columns={})


@transaction.atomic
def policy_withdraw(*, actor: User, draft: PolicyDraft, reason: str, at: datetime) -> PolicyWithdrawal:
    """Take a draft back: its author does, or an officer who could publish it.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: Neither the author nor an officer tries.
        ConflictError: The draft is published or withdrawn already.
        RejectedInputError: The reason is too short.
    """
    return POLICIES.withdraw(actor=actor, draft=draft, reason=reason, at=at)


def publishing_hindrance(*, user: User, draft: PolicyDraft) -> str | None:
    """Say in words why a person cannot publish a draft, so that nobody is offered what would be refused."""
    return POLICIES.hindrance(user=user, draft=draft)


def policy_check(*, document: str) -> list[Diagnostic]:
    """Give every fault of a document, and keep nothing."""
    try:
        policy_compile(document=document)
    except PolicyError as error:
        return error.diagnostics
    return []


def policy_document(version: PolicyVersion) -> PolicyDocument:
    """Give a published version in the form that can be evaluated."""
    return policy_compile(document=version.document)


def policy_compile(*, document: str) -> PolicyDocument:
    """Compile a policy against the types of evidence that there are now.

    Raises:
        PolicyError: The document has faults; all of them are listed.
    """
    return parse_policy(document, roles=frozenset(Role.values), vocabulary=vocabulary_current())


def _require_attachable(parsed: PolicyDocument, at: datetime) -> None:
    """Demand that a text may be in force wherever its policy is: a new version is in force there at once."""
    for attachment in attachments_standing(policy__slug=parsed.policy, at=at):
        if parsed.environment and parsed.environment != attachment.environment:
            raise ConflictError(
                f'{parsed.policy} is attached to environment "{attachment.environment}", and this text is written for '
                f'"{parsed.environment}"; detach it there first, or give the text a policy of its own'
            )
