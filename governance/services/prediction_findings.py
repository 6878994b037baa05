"""The finding that is opened when something decided about a person without approval."""

from datetime import datetime, timedelta

from governance.enums import DecisionStanding, FindingKind, Severity, SubjectKind
from governance.models import Finding, PredictionRecord
from governance.services.findings import FindingReport, escalation_owner, finding_notice
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest

_DUE_AFTER = timedelta(days=2)


def unapproved_words(record: PredictionRecord) -> str:
    """Say in words what was not in order when a prediction was made; empty where it was approved."""
    if record.is_approved:
        return ""
    where = f"in {record.environment} at {record.at:%Y-%m-%d %H:%M:%S} UTC"
    if record.model_version is None:
        return f"DECIDED BY BYTES THAT WERE NEVER REGISTERED, {where}: {record.model_digest}"
    if record.decision is None:
        return f"DECIDED WITHOUT APPROVAL: nobody had decided about {record.model_version} {where}"
    standing = DecisionStanding(record.standing).label.lower()
    return (
        f"DECIDED WITHOUT APPROVAL: decision {record.decision_id} about {record.model_version} was {standing} {where}"
    )


def unapproved_kinds(records: list[PredictionRecord]) -> list[PredictionRecord]:
    """Give of the records that were not approved one for each finding that there would be."""
    return list({(_what(item), item.model_id): item for item in records if not item.is_approved}.values())


def _what(record: PredictionRecord) -> str:
    what: Json = [record.environment, record.model_digest, record.decision_id, record.standing]
    return Digest.of(canonical_bytes(what)).hex


def unapproved_notice(*, record: PredictionRecord, at: datetime) -> Finding | None:
    """Open a finding, once for the same bytes in the same environment and state of approval.

    Bytes that were never registered and for which no model is named belong to no system: nobody could own the finding.
    """
    if record.model is None:
        return None
    system = record.model.system
    version = record.model_version
    return finding_notice(
        cause=f"prediction:{_what(record)}",
        report=FindingReport(
            kind=FindingKind.INCIDENT,
            severity=Severity.CRITICAL,
            title=f"{version or record.model} decided about persons in {record.environment} without approval"[:200],
            description=unapproved_words(record),
            remediation="Take it out of use, look at whom it decided about, and have it decided on.",
            subject_kind=SubjectKind.MODEL_VERSION if version else SubjectKind.SYSTEM,
            subject_id=version.id if version else system.id,
            owner=system.owner,
            escalates_to=escalation_owner(system, at=at),
            due_at=at + _DUE_AFTER,
        ),
        at=at,
    )
