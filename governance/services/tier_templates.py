"""Tier templates: one person drafts, another one publishes, as policies."""

from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from governance.models import TierTemplate, TierTemplateDraft, TierTemplateVersion, TierTemplateWithdrawal, User
from governance.policy.errors import Diagnostic
from governance.selectors.tier_fields import TIER_FIELDS
from governance.services.locks import name_lock
from governance.services.officers import Officer
from governance.services.publications import PUBLISHERS, Shelf, drafter_require
from governance.services.steps import officer_step, other_person_require
from governance.tiering.document import parse_template
from governance.tiering.errors import TierTemplateError
from modelnotary.ledger.event import Subject

TEMPLATES = Shelf(
    name="tier_template",
    owner="template",
    documents=TierTemplate,
    drafts=TierTemplateDraft,
    withdrawals=TierTemplateWithdrawal,
    versions=TierTemplateVersion,
    drafted=LineageEvent.TIER_TEMPLATE_DRAFTED,
    withdrawn=LineageEvent.TIER_TEMPLATE_WITHDRAWN,
    published=LineageEvent.TIER_TEMPLATE_PUBLISHED,
    lock="governance.tier_templates",
)


@transaction.atomic
def tier_template_draft(*, actor: User, document: str, at: datetime) -> TierTemplateDraft:
    """Check a template and keep it for somebody else to publish.

    The text of an open draft, or of the newest version, gives that draft and not a second one.

    Raises:
        TierTemplateError: The document has faults; all of them are listed.
        SeparationOfDutiesError: A superuser or an auditor tries.
    """
    drafter_require(actor, at=at)
    parsed = parse_template(document, fields=TIER_FIELDS)
    name_lock(TEMPLATES.lock)
    return TEMPLATES.draft(actor=actor, slug=parsed.template, document=document, at=at)


def tier_template_publish(*, officer: Officer, draft: TierTemplateDraft, at: datetime) -> TierTemplateVersion:
    """Publish a draft as the next version of its template, for good; assessments under the one before grow stale.

    Raises:
        HumanRequiredError: A service account tries.
        SeparationOfDutiesError: Whoever wrote it, a superuser, or somebody who is no officer tries.
        ReauthenticationError: The password is wrong.
        ConflictError: The draft was withdrawn or is published already.
    """
    subject = Subject("tier_template_draft", draft.id)
    with officer_step(officer=officer, roles=PUBLISHERS, step="tier_template.publish", subject=subject, at=at):
        other_person_require(officer.user, draft.drafted_by)
        name_lock(TEMPLATES.lock)
        published = TEMPLATES.published_as(draft)
        if published and published.published_by == officer.user:
            return published
        tiers = list(parse_template(draft.document, fields=TIER_FIELDS).tiers)
        return TEMPLATES.publish(publisher=officer.user, draft=draft, at=at, columns={"tiers": tiers})


@transaction.atomic
def tier_template_withdraw(
    *, actor: User, draft: TierTemplateDraft, reason: str, at: datetime
) -> TierTemplateWithdrawal:
    """Take a draft back: its author does, or an officer who could publish it.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: Neither the author nor an officer tries.
        ConflictError: The draft is published or withdrawn already.
        RejectedInputError: The reason is too short.
    """
    return TEMPLATES.withdraw(actor=actor, draft=draft, reason=reason, at=at)


def tier_template_check(*, document: str) -> list[Diagnostic]:
    """Give every fault of a document, and keep nothing."""
    try:
        parse_template(document, fields=TIER_FIELDS)
    except TierTemplateError as error:
        return error.diagnostics
    return []
