"""Verifying everything an auditor was given, in one call.

1. Tell what each path is. Read the pinned trust file, the kept checkpoint and the policy on witnesses.
2. Verify the bundles, exported logs and archives. Each uses the pinned trust file, else one found beside it, else
   its own.
3. Verify the rest. Each uses the pinned trust file, else one found beside it, else that of a bundle in this
   call.
4. Hold each report PDF against each of them: its bytes must be those the ledger in it names for that report.
5. Hold each pruned log, exported or in a bundle, against the archives of it: together they must be the whole log.

Every report says which trust file was relied on and whether it was pinned.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from modelnotary.ledger.digest import Digest
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.verify.bundle import NO_TRUST, BundleFindings, bundle_examine
from modelnotary.verify.decision import verify_decision
from modelnotary.verify.disclosure import verify_disclosure
from modelnotary.verify.errors import InputError
from modelnotary.verify.evidence_file import Kind, evidence_kind
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_archive import archive_examine
from modelnotary.verify.log_export import log_examine
from modelnotary.verify.log_replay import Progress, no_progress
from modelnotary.verify.proof import verify_proof
from modelnotary.verify.pruning import archives_check
from modelnotary.verify.result import Check, ExitCode, TrustAnchor, VerificationReport, failed, missing, passed
from modelnotary.verify.trust import Trust, trust_discover
from modelnotary.verify.witnesses import policy_read

type Anchored = tuple[Trust, TrustAnchor]

_EXAMINE = {Kind.BUNDLE: bundle_examine, Kind.LOG: log_examine, Kind.ARCHIVE: archive_examine}
_WITNESSED = {*_EXAMINE, Kind.PROOF, Kind.DISCLOSURE}


def verify_paths(
    paths: Sequence[Path],
    *,
    trust_file: Path | None = None,
    checkpoint_file: Path | None = None,
    policy_file: Path | None = None,
    progress: Progress = no_progress,
) -> list[VerificationReport]:
    """Verify bundles, exported logs, archives, report PDFs, decisions and proofs.

    Args:
        paths: what to verify.
        trust_file: the trust file the auditor pins.
        checkpoint_file: a checkpoint the auditor kept; needs a bundle, a log or an archive among the paths.
        policy_file: the auditor's policy on witnesses; needs a bundle, a log, an archive or a proof among
            the paths.
        progress: told how far the reading of each log is.

    Returns:
        One report for each path, in the order given.

    Raises:
        VerifyError: a path, the trust file, the checkpoint or the policy cannot be read or is not what it has to be,
            or this machine could not finish.
    """
    kinds = {path: evidence_kind(path) for path in paths}  # 1
    _require_use(set(kinds.values()), checkpoint_file, policy_file)
    pinned = None if trust_file is None else _anchored(trust_file, pinned=True)
    kept = None if checkpoint_file is None else KeptCheckpoint.from_file(checkpoint_file)
    policy = None if policy_file is None else policy_read(policy_file)
    now = datetime.now(UTC)
    examine = {
        kind: partial(function, kept=kept, now=now, policy=policy, progress=progress)
        for kind, function in _EXAMINE.items()
    }
    bundles = {
        path: _bundle(path, pinned or _beside(path), examine[kind])  # 2
        for path, kind in kinds.items()
        if kind in examine
    }
    reports = []
    for path, kind in kinds.items():
        if kind in _EXAMINE:
            reports.append(_made_whole(bundles[path], bundles.values()))  # 5
            continue
        anchored = pinned or _beside(path) or _of_bundle(bundles.values())  # 3
        report = _single(path, kind, anchored, now, policy)
        if kind is Kind.REPORT:
            report = _cross_check(report, path, bundles)  # 4
        reports.append(report)
    return reports


def _require_use(kinds: set[Kind], checkpoint_file: Path | None, policy_file: Path | None) -> None:
    """Refuse what could be given in the belief that it protects, but is compared with nothing."""
    if not kinds or (checkpoint_file is not None and not _EXAMINE.keys() & kinds):
        raise InputError("give the evidence to verify; a kept checkpoint is compared with an evidence bundle or a log")
    if policy_file is not None and not _WITNESSED & kinds:
        raise InputError("a policy on witnesses is for the checkpoints in evidence bundles, logs and proofs; give one")


def _bundle(
    path: Path, anchored: Anchored | None, examine: Callable[[Path, Trust | None], BundleFindings]
) -> BundleFindings:
    if anchored is None:
        return examine(path, None)
    trust, anchor = anchored
    findings = examine(path, trust)
    return replace(findings, report=replace(findings.report, anchor=anchor))


def _single(
    path: Path, kind: Kind, anchored: Anchored | None, now: datetime, policy: WitnessPolicy | None
) -> VerificationReport:
    if anchored is None:
        return VerificationReport(kind.value, str(path), (missing("trust", NO_TRUST),))
    trust, anchor = anchored
    if kind is Kind.DECISION:
        report = verify_decision(path, trust, now=now)
    elif kind is Kind.PROOF:
        report = verify_proof(path, trust, policy=policy)
    elif kind is Kind.DISCLOSURE:
        report = verify_disclosure(path, trust, policy=policy)
    else:
        # PDF libraries take most of a second to load, and only reports need them.
        from modelnotary.verify.report import verify_report

        report = verify_report(path, trust, now=now)
    return replace(report, anchor=anchor)


def _cross_check(report: VerificationReport, path: Path, bundles: Mapping[Path, BundleFindings]) -> VerificationReport:
    """Hold a genuine PDF against the ledgers; what a broken one says about itself is worth nothing."""
    if not bundles or report.exit_code is not ExitCode.VERIFIED:
        return report
    from modelnotary.verify.report import report_identity

    name, digest = report_identity(path)
    checks = [_issued(name, Digest.from_text(digest), bundle, findings) for bundle, findings in bundles.items()]
    return replace(report, checks=(*report.checks, *checks))


def _issued(name: str, digest: Digest, bundle: Path, findings: BundleFindings) -> Check:
    digests = findings.reports.get(name)
    if digests is None:
        return missing("ledger", f"the ledger in {bundle} names no report {name}; it may be older than the report")
    if digest not in digests:
        return failed("ledger", f"this is not the file that the ledger in {bundle} names for the report {name}")
    return passed("ledger", f"the ledger in {bundle} names this file for the report {name}")


def _made_whole(findings: BundleFindings, others: Iterable[BundleFindings]) -> VerificationReport:
    """Add to the report on pruned logs whether the archives given hold what they no longer have; none need be given."""
    report = findings.report
    archives = [other.archived for other in others if other.archived is not None]
    if not archives:
        return report
    return replace(report, checks=(*report.checks, *(archives_check(pruned, archives) for pruned in findings.pruned)))


def _anchored(path: Path, *, pinned: bool) -> Anchored:
    trust = Trust.from_file(path)
    return trust, TrustAnchor(str(path), pinned=pinned, fingerprint=trust.fingerprint)


def _beside(path: Path) -> Anchored | None:
    found = trust_discover(path)
    return None if found is None else _anchored(found, pinned=False)


def _of_bundle(bundles: Iterable[BundleFindings]) -> Anchored | None:
    for findings in bundles:
        if findings.trust is not None and findings.report.anchor is not None:
            return findings.trust, findings.report.anchor
    return None
