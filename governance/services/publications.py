"""Documents that one person drafts and another one publishes: policies and tier templates alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import DraftState, Role
from governance.errors import ConflictError
from governance.models import User
from governance.models.publications import DocumentDraft, DraftWithdrawal, PublishedDocument
from governance.services.locks import name_lock
from governance.services.officers import person_require
from governance.services.steps import step_hindrance, words_require
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject

PUBLISHERS = (Role.COMPLIANCE, Role.MODEL_RISK, Role.PRIVACY)
"""Who may publish: officers, who answer for the rules; never whoever wrote the text."""
DRAFTERS = (Role.ENGINEER, *PUBLISHERS)
"""Who may draft, of people; a service account may where its token has the scope."""


def drafter_require(actor: User, *, at: datetime, unit: str | None = None) -> None:
    """Demand a service account, or a person who may draft for a business unit, or for the whole organisation.

    Raises:
        HumanRequiredError, SeparationOfDutiesError: A superuser, or somebody who has no such role.
    """
    if not actor.is_service:
        person_require(actor, *DRAFTERS, at=at, unit=unit)


@dataclass(frozen=True, slots=True)
class Shelf[Draft: DocumentDraft, Withdrawal: DraftWithdrawal, Version: PublishedDocument]:
    """One kind of document, and where it is kept.

    Attributes:
        name: What the ledger calls it: `policy`; its drafts are `policy_draft`, its versions `policy_version`.
        owner: Name of the column by which a version names what it is a version of, and of that in events.
        documents, drafts, withdrawals, versions: The tables.
        drafted, withdrawn, published: The events.
        lock: Name of the lock under which all of it changes.
    """

    name: str
    owner: str
    documents: Any
    drafts: type[Draft]
    withdrawals: type[Withdrawal]
    versions: type[Version]
    drafted: LineageEvent
    withdrawn: LineageEvent
    published: LineageEvent
    lock: str

    def subject(self, draft: Draft) -> Subject:
        """Name a draft as the ledger does."""
        return Subject(f"{self.name}_draft", draft.pk, Digest.from_text(draft.digest))

    def draft(self, *, actor: User, slug: str, document: str, at: datetime) -> Draft:
        """Keep a checked text for somebody else to publish; that of an open draft or the newest version is that one.

        The caller holds the lock and is in a transaction.
        """
        digest = Digest.of(document.encode())
        if standing := self._standing(slug, digest):
            return standing
        draft = self._rows(self.drafts).create(
            slug=slug, document=document, digest=digest.text, drafted_by=actor, drafted_at=at
        )
        event_record(event=self.drafted, actor=actor_of(actor), subject=self.subject(draft), data={"slug": slug}, at=at)
        return draft  # type: ignore[no-any-return]

    def publish(self, *, publisher: User, draft: Draft, at: datetime, columns: Mapping[str, object]) -> Version:
        """Make a draft the next version of its document, for good.

        The caller holds the lock, is in a transaction, and has checked who publishes.

        Raises:
            ConflictError: It was withdrawn or published already.
        """
        self.require_open(draft)
        document, _ = self.documents.objects.get_or_create(slug=draft.slug, defaults={"created_at": at})
        version = self._rows(self.versions).create(
            number=(document.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            draft=draft,
            document=draft.document,
            digest=draft.digest,
            published_by=publisher,
            published_at=at,
            **{self.owner: document},
            **columns,
        )
        event_record(
            event=self.published,
            actor=actor_of(publisher),
            subject=Subject(f"{self.name}_version", version.pk, Digest.from_text(version.digest)),
            data={
                self.owner: document.id,
                "slug": document.slug,
                "number": version.number,
                "draft": draft.pk,
                "drafted_by": draft.drafted_by_id,
            },
            at=at,
        )
        return version  # type: ignore[no-any-return]

    def withdraw(self, *, actor: User, draft: Draft, reason: str, at: datetime) -> Withdrawal:
        """Take a draft back: its author does, or an officer who could publish it. The caller is in a transaction.

        Raises:
            HumanRequiredError, SeparationOfDutiesError: Neither the author nor an officer tries.
            ConflictError: The draft is published or withdrawn already.
            RejectedInputError: The reason is too short.
        """
        if actor.pk != draft.drafted_by_id:
            person_require(actor, *PUBLISHERS, at=at)
        name_lock(self.lock)
        self.require_open(draft)
        withdrawal = self._rows(self.withdrawals).create(
            draft=draft, reason=words_require(reason, "/reason"), withdrawn_by=actor, withdrawn_at=at
        )
        event_record(
            event=self.withdrawn,
            actor=actor_of(actor),
            subject=self.subject(draft),
            data={"withdrawal": withdrawal.pk, "slug": draft.slug, "reason": withdrawal.reason},
            at=at,
        )
        return withdrawal  # type: ignore[no-any-return]

    def published_as(self, draft: Draft) -> Version | None:
        """Give the version that a draft became, or None."""
        return self._rows(self.versions).filter(draft=draft).first()  # type: ignore[no-any-return]

    def require_open(self, draft: Draft) -> None:
        """Demand that nothing became of a draft yet.

        Raises:
            ConflictError: It was withdrawn or published.
        """
        if self._rows(self.withdrawals).filter(draft=draft).exists():
            raise ConflictError(f"draft {draft.pk} was withdrawn; draft the text anew")
        if version := self.published_as(draft):
            raise ConflictError(f"draft {draft.pk} is published already, as {version}")

    def hindrance(self, *, user: User, draft: Draft) -> str | None:
        """Say in words why a person cannot publish a draft, so that nobody is offered what would be refused."""
        if hindrance := step_hindrance(user=user, roles=PUBLISHERS, others=(draft.drafted_by,)):
            return hindrance
        return None if draft.state is DraftState.OPEN else f"draft {draft.pk} is {draft.state}"

    def _standing(self, slug: str, digest: Digest) -> Draft | None:
        versions = self._rows(self.versions).select_related("draft")
        newest = versions.filter(**{f"{self.owner}__slug": slug}).order_by("-number").first()
        if newest and newest.draft and newest.digest == digest.text:
            return newest.draft  # type: ignore[no-any-return]
        waiting = self._rows(self.drafts).filter(slug=slug, digest=digest.text, version=None, withdrawal=None)
        return waiting.first()  # type: ignore[no-any-return]

    @staticmethod
    def _rows(table: Any) -> Any:  # noqa: ANN401 - a manager, which an abstract model does not have
        return table.objects
