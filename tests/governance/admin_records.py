"""One record of every kind that the admin shows, and what the access log says about who looked."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import factories
import psycopg
from conftest import Database
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone
from software_producer import SoftwareProducer

from audit.enums import ErasureBasis, Log
from audit.models import Checkpoint, Entry, Erasure, LegalHold
from audit.sequencing import batch_sequence, checkpoint_store, logs_list
from audit.signing import log_signer
from governance.enums import (
    EvidenceType,
    FindingKind,
    JobType,
    LineageKind,
    LineageRole,
    Role,
    Severity,
    SubjectKind,
    Trust,
)
from governance.models import (
    AccessReview,
    AccessReviewLine,
    ApiToken,
    AttachmentProposal,
    AttestationPeriod,
    Decision,
    Evidence,
    Finding,
    Override,
    PolicyAttachment,
    PolicyException,
    RoleGrant,
    RoleProposal,
    User,
)
from governance.services import inventory
from governance.services.aliases import alias_bind
from governance.services.decisions import decision_evaluate
from governance.services.deployments import deployment_record
from governance.services.exceptions import ExceptionTerms, exception_request
from governance.services.findings import FindingReport, finding_open
from governance.services.jobs import job_create
from governance.services.lineage import lineage_record
from governance.services.officers import Officer
from governance.services.overrides import OverrideTerms, override_request
from governance.services.passkeys import passkey_request
from governance.services.periods import PeriodTerms, period_open
from governance.services.privacy import legal_hold_set, person_erasure_request
from governance.services.proofs import authenticator_of
from governance.services.reviews import review_open
from governance.services.snapshots import Running, snapshot_deposit
from modelnotary.ids import new_id
from modelnotary.ledger.checkpoint import Checkpoint as TreeHead
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.note import note_split
from reports.enums import DocumentKind
from reports.models import Document

REPORT = b"%PDF-1.7 a report as issued"
MANY = 15
HOSTILE = "<script>alert(1)</script>"
# The shapes that the product's own assessments have, small.
BIAS: dict[str, Any] = {
    "verdict": "fail",
    "rows": 954,
    "demographic_parity_ratio": 0.7394,
    "min_group_n": 146,
    "criteria": [
        {
            "column": "race",
            "metric": "demographic_parity_ratio",
            "value": 0.7394,
            "line": 0.8,
            "verdict": "fail",
            "reason": "0.7394 misses the line of 0.8.",
        }
    ],
    "groups": [
        {
            "column": "race",
            "group": "black",
            "n": 146,
            "selected": 99,
            "selection_rate": 0.678082,
            "selection_rate_low": 0.598601,
            "selection_rate_high": 0.748477,
            "is_reference": False,
        }
    ],
    "receipt": {"engine": "counts by group", "parameters": {"min_group": 30}},
}
EXPLANATION: dict[str, Any] = {
    "rows": 954,
    "output_space": "margin",
    "global_importance": [
        {"feature": "loan_to_value", "mean_abs": 0.391, "low": 0.375, "high": 0.407},
        {"feature": "income", "mean_abs": 0.1955, "low": 0.18, "high": 0.21},
    ],
    "local": [{"row": 7, "output": 1.5, "contributions": [{"feature": "income", "contribution": -0.25}]}],
}


@dataclass(frozen=True)
class Records:
    """What there is to see.

    Attributes:
        case: A decision that passed after two signatures, with a model version, a policy and evidence.
        of: One record of each kind, by the label of its model.
    """

    case: factories.Case
    of: dict[str, Any]


def records_make(database: Database, memory: Path) -> Records:
    """Make one record of every kind through the services, then sequence and sign the ledger."""
    now = timezone.now()
    case = factories.waiting_case(quorum=2)
    signatures = [case.sign(officer) for officer in case.officers]
    author, pipeline = case.author, case.pipeline
    factories.token(pipeline)
    dataset = inventory.dataset_register(
        actor=pipeline,
        slug=factories.unique("applications"),
        at=now,
        name="Mortgage applications",
        description="Applications of a year",
        classification="confidential",
        contains_phi=True,
    )
    table = inventory.dataset_version_register(
        actor=pipeline,
        dataset=dataset,
        digest=factories.stored(factories.unique(f"a,{HOSTILE}\n1,").encode(), pipeline),
        row_count=1,
        columns=["a", HOSTILE],
        at=now,
    )
    run = inventory.run_record(
        actor=pipeline,
        at=now,
        name="train",
        code_commit="",
        parameters={"seed": 1990, "nested": {"words": [HOSTILE]}},
        started_at=now - timedelta(minutes=1),
        finished_at=now,
    )
    edge = lineage_record(
        actor=pipeline,
        source=(LineageKind.DATASET_VERSION, table.id),
        target=(LineageKind.RUN, run.id),
        role=LineageRole.TRAINED_ON,
        trust=Trust.SELF_REPORTED,
        at=now,
    )
    deployment = deployment_record(actor=pipeline, digest=case.digest, environment=case.environment, at=timezone.now())
    alias = alias_bind(actor=pipeline, version=case.version, alias="champion", observed_via="api", at=now)
    snapshot = snapshot_deposit(
        agent=pipeline,
        environment=case.environment,
        running=[Running(HOSTILE, Digest.of(b"never registered"))],
        taken_at=now,
        at=timezone.now(),
    )
    job = job_create(actor=pipeline, kind=JobType.BIAS, version=case.version, parameters={"label": "deny"}, at=now)
    document = document_make(case, DocumentKind.REPORT, REPORT)
    for _ in range(MANY):  # so that a query for each row of a list shows
        _crowd(case)
    ledger_sign(database, memory)
    version = case.version
    records: tuple[Any, ...] = (
        *(version, version.model, version.model.system, dataset, table, run, edge, case.evidence, deployment, job),
        *(case.policy, case.policy.policy, case.policy.draft, *attachment_make()),
        *(Decision.objects.get(pk=case.decision.pk), case.request, signatures[0]),
        *(author, ApiToken.objects.filter(user=pipeline).latest("created_at"), document),
        Entry.objects.get(subject_id=version.id, event_type="model_version.registered"),
        Checkpoint.objects.get(log=Log.LINEAGE),
        authenticator_of(case.officers[0]),
        passkey_request(user=case.officers[0], name=HOSTILE[:100], at=now),
        erasure_make(),
        hold_make(),
        exception_make(case),
        override_make(case),
        finding_make(case),
        period_make(case),
        *(alias, snapshot, snapshot.discrepancies.all()[0]),
        *tier_make(case),
        factories.producer_key(pipeline, SoftwareProducer().pem),
        factories.predicted(pipeline, case.digest, case.environment),
        *role_make(),
        factories.business_unit(),
        *review_make(),
        *((own := factories.own_type()), own.draft),
    )
    return Records(case, {record._meta.label: record for record in records})


def _crowd(case: factories.Case) -> None:
    version = factories.model_version(case.pipeline)
    factories.evidence(case.producer, version)
    decision_evaluate(
        actor=case.requester, digest=Digest.from_text(version.digest), environment=case.environment, at=timezone.now()
    )
    factories.token(case.pipeline)
    exception_make(case)
    override_make(case)
    finding_make(case)
    period_make(case)
    factories.producer_key(case.pipeline, SoftwareProducer().pem)
    factories.predicted(case.pipeline, case.digest, case.environment)
    factories.own_type()
    attachment_make()
    tier_make(case)
    role_make()
    job_create(actor=case.pipeline, kind=JobType.BIAS, version=version, parameters={}, at=timezone.now())
    document_make(case, DocumentKind.BUNDLE, b"a bundle")


def document_make(case: factories.Case, kind: DocumentKind, content: bytes) -> Document:
    """A document as the report worker leaves it."""
    digest = Digest.of(content)
    name = f"{digest.hex[:2]}/{digest.hex}"
    if not storages["artifacts"].exists(name):
        storages["artifacts"].save(name, ContentFile(content))
    return Document.objects.create(
        id=new_id("rep" if kind is DocumentKind.REPORT else "bun"),
        kind=kind,
        model_version=case.version,
        environment=case.environment,
        content_digest=digest.text,
        digest=digest.text,
        size=len(content),
        path=name,
        ledger_size=1,
        issued_by=case.pipeline,
        issued_at=timezone.now(),
    )


def officer_make() -> Officer:
    """A privacy officer who gives the password."""
    return Officer(factories.person(Role.PRIVACY), factories.PASSWORD)


def erasure_make(officer: Officer | None = None, person: str | None = None) -> Erasure:
    """An erasure that waits for its second officer."""
    return person_erasure_request(
        officer=officer or officer_make(),
        person=person or factories.patient(),
        basis=ErasureBasis.GDPR_17_1_B,
        reason=factories.REASON,
        at=timezone.now(),
    )


def hold_make(person: str | None = None) -> LegalHold:
    """A legal hold on one person."""
    return legal_hold_set(
        officer=officer_make(),
        person=person or factories.patient(),
        log=None,
        matter=factories.unique("2026-CV"),
        reason=factories.REASON,
        at=timezone.now(),
    )


def attachment_make() -> tuple[PolicyAttachment, AttachmentProposal | None]:
    """That a policy is in force, and the proposal under which it came to be."""
    version = factories.policy(factories.person(Role.COMPLIANCE), factories.unique("attached"))
    attachment = PolicyAttachment.objects.get(policy=version.policy)
    return attachment, attachment.attached_under


def tier_make(case: factories.Case) -> tuple[Any, ...]:
    """A published template, its draft, and an assessment under it that waits for an officer."""
    version = factories.tier_template(title=f"Size {HOSTILE}")
    return version, version.template, version.draft, factories.tier_assessment(case.version.model.system, version)


def review_make() -> tuple[AccessReview, AccessReviewLine]:
    """A review of access that waits, and a line of it."""
    officer = Officer(factories.person(Role.PRIVACY), factories.PASSWORD)
    review = review_open(officer=officer, due_at=timezone.now() + timedelta(days=9), at=timezone.now())
    return review, review.lines.all()[0]


def role_make() -> tuple[RoleGrant, RoleProposal | None]:
    """A role that somebody holds, and the proposal under which it was granted."""
    grant = factories.role_granted(factories.person(), Role.VALIDATOR)
    return grant, grant.proposal


def finding_make(case: factories.Case) -> Finding:
    """A finding that nobody has taken up."""
    return finding_open(
        officer=Officer(factories.person(Role.ENGINEER), factories.PASSWORD),
        report=FindingReport(
            kind=FindingKind.LIMITATION,
            severity=Severity.LOW,
            title=f"Ranks badly {HOSTILE}",
            description=factories.REASON,
            remediation="Train on more.",
            subject_kind=SubjectKind.MODEL_VERSION,
            subject_id=case.version.id,
            owner=factories.person(),
            escalates_to=factories.person(),
            due_at=timezone.now() + timedelta(days=9),
        ),
        at=timezone.now(),
    )


def period_make(case: factories.Case) -> AttestationPeriod:
    """A period of a year of its own that nobody has attested."""
    submitter, reviewer, approver = (factories.person() for _ in range(3))
    year = 2000 + AttestationPeriod.objects.count()
    return period_open(
        officer=Officer(factories.person(Role.COMPLIANCE), factories.PASSWORD),
        terms=PeriodTerms(
            system=case.version.model.system,
            starts_on=date(year, 1, 1),
            ends_on=date(year, 12, 31),
            due_at=timezone.now() + timedelta(days=1),
            submitter=submitter,
            reviewer=reviewer,
            approver=approver,
        ),
        at=timezone.now(),
    )


def exception_make(case: factories.Case) -> PolicyException:
    """A request that a rule need not hold, which nobody has answered."""
    return exception_request(
        officer=Officer(factories.person(Role.ENGINEER), factories.PASSWORD),
        terms=ExceptionTerms(
            rule="PERF-001",
            subject=case.version,
            environment=case.environment,
            owner=factories.person(),
            reason=factories.REASON,
            risk=factories.REASON,
            compensating_control=HOSTILE * 2,
            expires_at=timezone.now() + timedelta(days=1),
        ),
        at=timezone.now(),
    )


def override_make(case: factories.Case) -> Override:
    """A request to override a denial, which nobody has answered."""
    denied = decision_evaluate(
        actor=case.requester, digest=case.digest, environment=factories.unique("unruled"), at=timezone.now()
    )
    return override_request(
        officer=Officer(factories.person(Role.ENGINEER), factories.PASSWORD),
        decision_id=denied.id,
        terms=OverrideTerms(
            reason=factories.REASON,
            ticket_url="https://tickets.example.org/1",
            expires_at=timezone.now() + timedelta(hours=1),
            review_owner=factories.person(),
            review_due_at=timezone.now() + timedelta(days=1),
        ),
        at=timezone.now(),
    )


def evidence_make(case: factories.Case, kind: EvidenceType, payload: dict[str, Any]) -> Evidence:
    """Evidence of any shape about a case's model version."""
    return factories.deposited(case.producer, case.version, kind, payload, measured=True)


def evidence_written(case: factories.Case, payload: dict[str, Any]) -> Evidence:
    """Evidence in a shape that no deposit has: written into the table."""
    document = json.dumps(payload).encode()
    return Evidence.objects.create(
        type="explanation",
        about="model_version",
        model_version=case.version,
        subject_digest=case.version.digest,
        document=document,
        digest=Digest.of(document).text,
        payload=payload,
        producer=case.producer,
        measured=True,
        collected_at=timezone.now(),
        valid_until=timezone.now() + timedelta(days=1),
        deposited_at=timezone.now(),
    )


def ledger_sign(database: Database, memory: Path) -> None:
    """Do what sequencer and signer do, once."""
    with psycopg.connect(database.environment["SEQUENCER_DATABASE_URL"], autocommit=True) as connection:
        for log in logs_list(connection):
            while batch_sequence(connection, log):
                pass
            note = log_signer(log=Log(log.name), memory=memory).head_sign(now=timezone.now())
            head = TreeHead.from_text(note_split(note)[0])
            checkpoint_store(connection, log, size=head.size, root=head.root, note=note.decode())


def signed_in(user: User) -> Client:
    """A browser in which somebody has signed in."""
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    return client


@dataclass(frozen=True)
class Look:
    """One entry of the access log."""

    event: str
    kind: str
    identity: str
    digest: str | None
    page: str


def looks(user: User) -> list[Look]:
    """What the access log says that somebody looked at, oldest first."""
    entries = Entry.objects.filter(log=Log.ACCESS, actor_id=user.id).order_by("body_id")
    return [
        Look(
            entry.event_type,
            entry.subject_kind,
            entry.subject_id,
            entry.subject_digest,
            json.loads(bytes(entry.bytes))["data"]["page"],
        )
        for entry in entries
    ]
