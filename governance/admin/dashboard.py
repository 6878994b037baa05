"""The first page: what waits for me, what was decided, and how far the ledger is signed."""

from typing import Any, cast

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from audit.enums import AccessEvent, Log
from audit.errors import UnknownEntryError
from audit.models import Checkpoint
from audit.selectors import checkpoint_latest, log_current
from governance.admin.base import LIST, may_look, page_viewed, seen_by
from governance.admin.cells import Cell, anchor, code, link, moment, record_address, stack
from governance.admin.endings import standing_badge
from governance.admin.privacy import erasures_waiting_section
from governance.admin.reviews import overdue_notices
from governance.admin.sections import Section, Table
from governance.admin.signing import signing_hindrance
from governance.enums import ApprovalState, DecisionState
from governance.models import ApprovalRequest, Decision, User
from governance.selectors.gate import decision_words
from modelnotary.ledger.event import Subject

_SHOWN_WAITING = 20
_SHOWN_DECISIONS = 10


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the sections of the first page to its context."""
    context["title"] = "What waits for you"
    context["notices"] = overdue_notices() if may_look(request) else ()
    context["signed_in_as"] = cast("User", request.user).printed_name
    if may_look(request):
        page_viewed(request, event=AccessEvent.RECORD_VIEWED, subject=Subject("decision", LIST), page="dashboard")
        context["sections"] = (_waiting(request), *erasures_waiting_section(request), _decided(request), _signed())
    return context


def waiting_count(request: HttpRequest) -> str | None:
    """Give the number beside the menu's approval inbox, or nothing."""
    if not may_look(request):
        return None
    open_requests = seen_by(request).of(ApprovalRequest.objects.filter(state=ApprovalState.OPEN)).count()
    return str(open_requests) if open_requests else None


def _waiting(request: HttpRequest) -> Section:
    requests = (
        seen_by(request)
        .of(ApprovalRequest.objects.filter(state=ApprovalState.OPEN))
        .select_related("decision__model_version__model__system", "decision__policy_version__policy")
        .prefetch_related("signatures")
        .order_by("opened_at")
    )
    total = requests.count()
    shown = requests[:_SHOWN_WAITING]
    more = anchor(f"{reverse('admin:governance_approvalrequest_changelist')}?state__exact=open", f"All {total}")
    return Table(
        title="Waiting for signatures",
        note="" if total <= _SHOWN_WAITING else f"The {_SHOWN_WAITING} oldest of {total}.",
        columns=("Model version", "Environment", "Policy", "Signatures", "Waits for", "You"),
        rows=tuple(_waiting_row(request, item) for item in shown),
        foot=more if total > _SHOWN_WAITING else None,
        empty="Nothing waits for a signature.",
    )


def _waiting_row(request: HttpRequest, approval: ApprovalRequest) -> tuple[Cell, ...]:
    decision = approval.decision
    hindrance = signing_hindrance(request, approval)
    yours: Cell = f"cannot sign: {hindrance}" if hindrance else anchor(record_address(decision), "Review and sign")
    return (
        stack((link(decision, str(decision.model_version)), str(decision.model_version.model.system))),
        decision.environment,
        link(decision.policy_version),
        f"{len(approval.signatures.all())} of {approval.quorum}",
        timesince(approval.opened_at),
        yours,
    )


def _decided(request: HttpRequest) -> Section:
    decisions = (
        seen_by(request)
        .of(Decision.objects.exclude(state=DecisionState.PENDING))
        .select_related("model_version__model", "ending")
        .defer("context", "context_document", "attestation")
        .order_by("-evaluated_at")[:_SHOWN_DECISIONS]
    )
    return Table(
        title="Decided lately",
        columns=("Model version", "Environment", "State", "Why", "Decided"),
        rows=tuple(
            (
                link(item, str(item.model_version)),
                item.environment,
                standing_badge(item),
                decision_words(item),
                moment(item.decided_at),
            )
            for item in decisions
        ),
        empty="Nothing was decided yet. A pipeline asks with: modelnotary gate decide",
    )


def _signed() -> Section:
    found = [(log, _newest(log)) for log in Log]
    return Table(
        title="Signed checkpoints",
        note="The newest signed head of each log. Keep copies outside: they show a rewritten history.",
        columns=("Log", "Entries", "Root", "Signed", "Age"),
        rows=tuple(
            (
                link(checkpoint, log.label),
                f"{checkpoint.size:,}",
                code(bytes(checkpoint.root).hex()),
                moment(checkpoint.at),
                timesince(checkpoint.at, timezone.now()),
            )
            for log, checkpoint in found
            if checkpoint is not None
        ),
        empty="Nothing is signed yet. The sequencer and the signer must be running.",
    )


def _newest(log: Log) -> Checkpoint | None:
    try:
        return checkpoint_latest(log=log_current(log_class=log).name)
    except UnknownEntryError:
        return None
