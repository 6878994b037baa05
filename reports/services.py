"""Issuing signed reports and evidence bundles."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Q, QuerySet

from audit.enums import LineageEvent, Log
from audit.exporting import log_parts
from audit.models import Checkpoint, Entry
from audit.selectors import checkpoint_await, checkpoints_latest
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import JobType
from governance.models import Decision, Evidence, Job, ModelVersion, PolicyVersion, User
from governance.services.jobs import job_create
from governance.services.work import Clock, Progress, job_execute
from modelnotary.ids import new_id
from modelnotary.ledger.checkpoint import Checkpoint as TreeHead
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.ledger.keys import key_load
from modelnotary.verify.bundle import bundle_write as bundle_file_write
from modelnotary.verify.bundle_format import (
    MANIFEST_FILE,
    BundleSubject,
    log_folder,
    manifest_sign,
    reports_file,
)
from modelnotary.verify.trust import TRUST_FILE
from reports.enums import DocumentKind
from reports.models import Document
from reports.twin import content_to_json

_EVENTS = {DocumentKind.REPORT: LineageEvent.REPORT_ISSUED, DocumentKind.BUNDLE: LineageEvent.BUNDLE_ISSUED}


def document_request(*, actor: User, kind: DocumentKind, version: ModelVersion, environment: str, at: datetime) -> Job:
    """Write down that a report or a bundle is wanted."""
    return job_create(
        actor=actor, kind=JobType(kind.value), version=version, parameters={"environment": environment}, at=at
    )


def report_execute(*, job_id: str, clock: Clock) -> None:
    """Build, sign and register a report, exactly once."""
    job_execute(job_id=job_id, work=lambda job, progress: _report(job, progress, clock), clock=clock)


def bundle_execute(*, job_id: str, clock: Clock) -> None:
    """Gather and register an evidence bundle, exactly once."""
    job_execute(job_id=job_id, work=lambda job, progress: _bundle(job, progress, clock), clock=clock)


def _report(job: Job, progress: Progress, clock: Clock) -> Callable[[], str]:
    # Loaded by the worker alone: the libraries behind them are large.
    from reports.document import report_build
    from reports.pki import ReportPki, report_signer_load
    from reports.selectors.content import ReportFrame, report_content
    from reports.signing import report_sign

    progress(0, 3, "waiting for the signed checkpoint")
    as_of = clock()
    frame = ReportFrame(
        report_id=new_id("rep", at=as_of),
        version=job.model_version,
        environment=job.parameters["environment"],
        as_of=as_of,
        lineage=checkpoint_await(log=Log.LINEAGE),
        access=checkpoint_await(log=Log.ACCESS) if Entry.objects.filter(log_class=Log.ACCESS).exists() else None,
        earlier=tuple(checkpoints_latest(log_class=Log.LINEAGE)[:-1]),
    )
    content = report_content(frame)
    progress(1, 3, "drawing the pages")
    pages = report_build(content)
    progress(2, 3, "signing")
    signer = report_signer_load(ReportPki(settings.KEYS_DIR))
    signed = report_sign(pages, signer, report_id=frame.report_id, at=as_of)

    def make() -> str:
        return _document_issue(
            job=job,
            kind=DocumentKind.REPORT,
            identity=frame.report_id,
            file=signed,
            content=Digest.of(content_to_json(content)),
            ledger_size=frame.lineage.size,
            at=clock(),
        )

    return make


def _bundle(job: Job, progress: Progress, clock: Clock) -> Callable[[], str]:
    progress(0, 2, "waiting for the signed checkpoint")
    at = clock()
    checkpoint = checkpoint_await(log=Log.LINEAGE)
    progress(1, 2, "gathering entries and evidence")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.zip"
        manifest = bundle_write(path=path, version=job.model_version, checkpoint=checkpoint, at=at)
        archive = path.read_bytes()

    def make() -> str:
        return _document_issue(
            job=job,
            kind=DocumentKind.BUNDLE,
            identity=new_id("bun", at=at),
            file=archive,
            content=manifest,
            ledger_size=checkpoint.size,
            at=clock(),
        )

    return make


def bundle_write(*, path: Path, version: ModelVersion, checkpoint: Checkpoint, at: datetime) -> Digest:
    """Write the evidence bundle of a model version, up to a signed checkpoint; return the digest of its manifest.

    Raises:
        KeyFileError: The decision key, which signs the manifest, cannot be read.
        BundleError: A file is too large for a bundle.
    """
    files = dict(_bundle_files(version, checkpoint))
    files[MANIFEST_FILE] = manifest_sign(
        files,
        subject=BundleSubject("model_version", version.id, str(version), Digest.from_text(version.digest)),
        logs=[TreeHead(item.origin, item.size, bytes(item.root)) for item in _incarnations(checkpoint)],
        created_at=at,
        private_key=key_load(settings.KEYS_DIR / "decision.key"),
    )
    bundle_file_write(path, files)
    return Digest.of(files[MANIFEST_FILE])


def _bundle_files(version: ModelVersion, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    """Give everything that a bundle about a model version holds, apart from its manifest.

    Only what the checkpoint covers: a file that no entry names would look like a forgery.
    """
    for signed in _incarnations(checkpoint):
        for name, data in log_parts(checkpoint=signed):
            yield f"{log_folder(signed.origin)}/{name}", data
    yield TRUST_FILE, (settings.NOTARY_HOME / TRUST_FILE).read_bytes()
    covered = _covered(checkpoint)
    for evidence in _evidence(version):
        if evidence.id in covered:
            yield f"evidence/{evidence.id}.json", bytes(evidence.document)
            if hasattr(evidence, "statement"):
                yield f"evidence/{evidence.id}.dsse.json", bytes(evidence.statement.envelope)
    for decision in Decision.objects.filter(model_version=version, attestation__isnull=False):
        if decision.id in covered and decision.attestation is not None:
            yield f"decisions/{decision.id}.dsse.json", bytes(decision.attestation)
    for policy in PolicyVersion.objects.filter(decisions__model_version=version).select_related("policy").distinct():
        if policy.id in covered:
            yield f"policies/{policy.policy.slug}-v{policy.number}.yaml", policy.document.encode()
    reports = Document.objects.filter(kind=DocumentKind.REPORT, model_version=version)
    yield (
        "reports.json",
        reports_file({item.id: Digest.from_text(item.digest) for item in reports if item.id in covered}),
    )


def _evidence(version: ModelVersion) -> QuerySet[Evidence]:
    """Give the evidence about a version, and what else its decisions saw."""
    contexts = Decision.objects.filter(model_version=version).values_list("context", flat=True)
    seen = {item["id"] for context in contexts for item in context["evidence"]}
    return Evidence.objects.filter(Q(model_version=version) | Q(pk__in=seen)).select_related("statement")


def _covered(checkpoint: Checkpoint) -> set[str]:
    events = (
        LineageEvent.EVIDENCE_DEPOSITED,
        LineageEvent.DECISION_ISSUED,
        LineageEvent.POLICY_PUBLISHED,
        LineageEvent.REPORT_ISSUED,
    )
    within = [Q(log=item.log, seq__lt=item.size) for item in _incarnations(checkpoint)]
    entries = Entry.objects.filter(reduce(or_, within), event_type__in=events)
    return set(entries.values_list("subject_id", flat=True))


def _incarnations(checkpoint: Checkpoint) -> list[Checkpoint]:
    """The checkpoint, and before it the last ones of the logs that its log follows."""
    earlier = [item for item in checkpoints_latest(log_class=checkpoint.log_class) if item.log != checkpoint.log]
    return [*earlier, checkpoint]


def _document_issue(
    *, job: Job, kind: DocumentKind, identity: str, file: bytes, content: Digest, ledger_size: int, at: datetime
) -> str:
    digest = Digest.of(file)
    name = f"{digest.hex[:2]}/{digest.hex}"
    if not storages["artifacts"].exists(name):
        storages["artifacts"].save(name, ContentFile(file))
    with transaction.atomic():
        Document.objects.create(
            id=identity,
            kind=kind,
            model_version=job.model_version,
            environment=job.parameters["environment"],
            content_digest=content.text,
            digest=digest.text,
            size=len(file),
            path=name,
            ledger_size=ledger_size,
            issued_by=job.requested_by,
            issued_at=at,
        )
        event_record(
            event=_EVENTS[kind],
            actor=actor_of(job.requested_by),
            subject=Subject(kind.value, identity, digest),
            data={
                "model_version": job.model_version_id,
                "content_digest": content.text,
                "ledger_size": ledger_size,
                "environment": job.parameters["environment"],
            },
            at=at,
        )
    return identity
