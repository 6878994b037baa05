"""Evidence bundles: written in one canonical form, and verified offline against nothing but a trust file.

The procedure of `bundle_examine`, numbered as in the code:

1.  Open the archive. Every byte outside the files' contents must be the one the canonical form prescribes.
2.  Take the trust file: the one given, else, unpinned, the one inside the bundle.
3.  Open the manifest: signed by a decision key of the trust file that was in force when it was made.
4.  Compare the files with the manifest: each is there with its size and SHA-256, and there is no other but tiles
    of the logs, which step 6 covers.
5.  For each log, follow its key from the one in the trust file to the newest, by the proofs of rotations that are
    there. Open the checkpoint: signed by the log's own key, by as many witnesses as the auditor's policy asks for,
    and the one the manifest states.
6.  Hash every entry of the log again and read it as an event; rebuild the tree and the chain; compare every
    hash with the tiles of hashes, the root with the checkpoint, the chain head with the one stated, and the
    chain with what entries `ledger.chain_head` tell of it.
    A log that follows a restored one must say so in entry 0, and what it says of its predecessor must be what
    the predecessor itself, the checkpoint signed last for it, and step 7 bear out. Of entries that are gone the
    roots are there, and an entry is proved that tells of it. An entry that claims a new key without the signatures
    of both keys is named; it changes no key. What anchors gave is checked as receipts are.
7.  Compare with a checkpoint kept earlier, if there is one: the log must begin with exactly the entries it
    then had.
8.  Open every decision: signed by a decision key in force, named by digest in the ledger, about the bytes the
    ledger says; its policy and evidence are in the bundle. An expired decision is reported, not refused.
9.  Find every piece of evidence, policy and report named by its digest in the ledger.
10. Check every signature by passkey among the entries of the lineage log: the passkey was registered before by who
    signs and not revoked, and it signed the statement that the entry holds and names by digest.
11. Check every piece of evidence that its producer signed: the key was registered before by a second person, was in
    force at the deposit and not revoked, and signed the envelope in the bundle, which says what the evidence says.

A bundle that lacks something is incomplete; one in which something is wrong is tampered with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelnotary.attest.dsse import Envelope, envelope_verify
from modelnotary.attest.errors import AttestError
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.incarnation import log_class
from modelnotary.ledger.witness_policy import WitnessPolicy
from modelnotary.verify.archive import Files, archive_write, files_open
from modelnotary.verify.bundle_contents import Contents, Inventory, reports_named
from modelnotary.verify.bundle_format import (
    KNOWN_FILE,
    MANIFEST_FILE,
    MANIFEST_PAYLOAD_TYPE,
    BundleManifest,
    is_log_tile,
)
from modelnotary.verify.bundle_log import LogExamination
from modelnotary.verify.errors import BundleError, TrustError
from modelnotary.verify.evidence_signatures import envelopes_check
from modelnotary.verify.incarnations import SuccessionExamination
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.log_replay import Progress, Replay, namings_merged, no_progress
from modelnotary.verify.passkey_signatures import passkeys_check
from modelnotary.verify.pruning import Archived, Pruned
from modelnotary.verify.result import Check, Outcome, TrustAnchor, VerificationReport, failed, missing, passed
from modelnotary.verify.trust import TRUST_FILE, Trust

LINEAGE = "lineage"
NO_TRUST = "there is no trust file to verify against; give one with --trust"


@dataclass(frozen=True, slots=True)
class BundleFindings:
    """What a bundle turned out to be: the report, the trust file used, the report digests in its ledger.

    ``archived`` is what an archive holds, if it was one and all of it holds; ``pruned`` what its logs no longer have.
    """

    report: VerificationReport
    trust: Trust | None
    reports: Mapping[str, frozenset[Digest]]
    archived: Archived | None = None
    pruned: tuple[Pruned, ...] = ()


def bundle_write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an evidence bundle: the canonical zip of these files.

    Args:
        path: where to write it; replaced in one step.
        files: content by name, ``manifest.dsse.json`` (from `bundle_format.manifest_sign`) among them.

    Raises:
        BundleError: a name is not one of a bundle's, the manifest is missing, or there is too much.
        OSError: the file cannot be written.
    """
    unknown = [name for name in files if name != MANIFEST_FILE and not KNOWN_FILE.fullmatch(name)]
    if unknown or MANIFEST_FILE not in files:
        raise BundleError(f"a bundle needs its manifest and has no place for {', '.join(unknown) or 'less'}")
    archive_write(path, files)


def verify_bundle(path: Path, trust: Trust | None, *, kept: KeptCheckpoint | None, now: datetime) -> VerificationReport:
    """Verify an evidence bundle; see `bundle_examine`."""
    return bundle_examine(path, trust, kept=kept, now=now).report


def bundle_examine(
    path: Path,
    trust: Trust | None,
    *,
    kept: KeptCheckpoint | None,
    now: datetime,
    policy: WitnessPolicy | None = None,
    progress: Progress = no_progress,
) -> BundleFindings:
    """Verify an evidence bundle by the procedure at the top of this module.

    Args:
        path: a canonical zip, or a folder with the same files.
        trust: the keys to rely on; None to use, unpinned, those in the bundle.
        kept: a checkpoint the auditor kept earlier.
        now: the present, aware, to tell which decisions have expired.
        policy: which witnesses must have signed the checkpoints; None if none must.
        progress: told how far the reading of each log is.

    Returns:
        The findings. What is wrong with the bundle is in the report and never raised.

    Raises:
        WorkerError: this machine could not finish; that says nothing about the bundle.
    """
    examination = _Examination(kept, policy, now, progress)
    try:
        with files_open(path) as files:
            examination.run(files, trust, path)
    except BundleError as error:
        examination.checks.append(failed("archive", str(error)))
    report = VerificationReport("bundle", str(path), tuple(examination.checks), examination.anchor)
    return BundleFindings(report, examination.trust, examination.reports, pruned=tuple(examination.pruned))


class _Examination:
    def __init__(
        self, kept: KeptCheckpoint | None, policy: WitnessPolicy | None, now: datetime, progress: Progress
    ) -> None:
        self.checks: list[Check] = []
        self.trust: Trust | None = None
        self.anchor: TrustAnchor | None = None
        self.reports: Mapping[str, frozenset[Digest]] = {}
        self.pruned: list[Pruned] = []
        self._kept = kept
        self._policy = policy
        self._now = now
        self._progress = progress

    def run(self, files: Files, trust: Trust | None, path: Path) -> None:
        kind = "a folder" if path.is_dir() else "a canonical archive"
        self.checks.append(passed("archive", f"{kind} of {len(files.sizes)} files"))  # 1
        self.trust = trust or self._trust_inside(files, path)  # 2
        if self.trust is None:
            return
        manifest = self._manifest(files, self.trust)  # 3
        if manifest is None:
            return
        self.checks += _files_check(files, manifest)  # 4
        inventory = Inventory(files)
        replays: dict[str, Replay | None] = {}
        for log in manifest.logs:  # 5, 6
            interest = inventory.interest(log_class(log.origin), manifest.subject.id)
            examination = LogExamination(files, log, self.trust, self._kept, self._policy)
            checks, replays[log.origin] = examination.run(interest, self._progress)
            self.checks += checks
            if examination.pruned is not None:
                self.pruned.append(examination.pruned)
            self.trust = examination.trust
        succession = SuccessionExamination(files, manifest.logs, self.trust, self._kept).checks(replays)
        self.checks += succession
        self._kept_check(manifest, replays, self.trust)  # 7
        lineage = None if any(check.outcome is not Outcome.PASS for check in succession) else _lineage(replays)
        if lineage is None:
            self.checks.append(missing("contents", "without the lineage log they cannot be compared with it"))
            return
        contents = Contents(files, inventory, manifest.subject.id, lineage, self.trust)
        self.checks += contents.checks(self._now)  # 8, 9
        self.checks += passkeys_check(lineage.passkeys, pruned=bool(self.pruned))  # 10
        self.checks += envelopes_check(lineage.producers, inventory.evidence(files), pruned=bool(self.pruned))  # 11
        self.reports = reports_named(lineage)

    def _trust_inside(self, files: Files, path: Path) -> Trust | None:
        if TRUST_FILE not in files.sizes:
            self.checks.append(missing("trust", NO_TRUST))
            return None
        try:
            trust = Trust.from_bytes(files.read(TRUST_FILE))
        except TrustError as error:
            self.checks.append(failed("trust", f"in the bundle's own trust.json: {error}"))
            return None
        self.anchor = TrustAnchor(f"inside {path}", pinned=False, fingerprint=trust.fingerprint)
        return trust

    def _manifest(self, files: Files, trust: Trust) -> BundleManifest | None:
        if MANIFEST_FILE not in files.sizes:
            self.checks.append(missing("manifest", f"there is no {MANIFEST_FILE}"))
            return None
        try:
            envelope = Envelope.from_bytes(files.read(MANIFEST_FILE))
            keys = [item.key for item in trust.decision_keys]
            signers = envelope_verify(envelope, MANIFEST_PAYLOAD_TYPE, keys)
            manifest = BundleManifest.from_bytes(envelope.payload)
        except (AttestError, BundleError) as error:
            self.checks.append(failed("manifest", str(error)))
            return None
        if not trust.in_force(signers, manifest.created_at):
            self.checks.append(failed("manifest", "signed with a key that was not in force at its creation time"))
            return None
        subject = manifest.subject
        self.checks.append(passed("manifest", f"signed; about {subject.kind} {subject.name} ({subject.id})"))
        return manifest

    def _kept_check(self, manifest: BundleManifest, replays: Mapping[str, Replay | None], trust: Trust) -> None:
        if self._kept is None:
            return
        stated = next((log for log in manifest.logs if log.origin == self._kept.origin), None)
        if stated is None:
            self.checks.append(missing("kept checkpoint", f"the bundle lacks the log {self._kept.origin}"))
            return
        replay = replays[self._kept.origin]
        if replay is None:
            self.checks.append(missing("kept checkpoint", "the log cannot be read, so it cannot be compared"))
            return
        self.checks.append(self._kept.compare(stated.size, replay.kept_root, trust, min_index=replay.min_index))


def _lineage(replays: Mapping[str, Replay | None]) -> Replay | None:
    """What the lineage log and its successors name together; None when one is missing or cannot be read."""
    found = [replay for origin, replay in replays.items() if log_class(origin) == LINEAGE]
    if not found or None in found:
        return None
    replays_read = [replay for replay in found if replay is not None]
    return Replay(
        namings=namings_merged(replay.namings for replay in replays_read),
        passkeys=[each for replay in replays_read for each in replay.passkeys],
        producers=[each for replay in replays_read for each in replay.producers],
    )


def _files_check(files: Files, manifest: BundleManifest) -> list[Check]:
    listed = {file.path for file in manifest.files}
    unlisted = sorted(files.sizes.keys() - listed - {MANIFEST_FILE})
    extra = [path for path in unlisted if not is_log_tile(path, manifest.logs)]
    unknown = [path for path in sorted(listed) if not KNOWN_FILE.fullmatch(path)]
    changed = [
        file.path
        for file in manifest.files
        if file.path in files.sizes
        and (files.sizes[file.path] != file.size or Digest.of(files.read(file.path)) != file.digest)
    ]
    checks = [failed("files", f"{path} is not the file the manifest lists") for path in changed]
    checks += [failed("files", f"{path} is not in the manifest") for path in extra]
    checks += [failed("files", f"{path} has no place in a bundle") for path in unknown]
    absent = sorted(listed - files.sizes.keys())
    checks += [missing("files", f"{path} is listed but not there") for path in absent]
    tiles = f", and {len(unlisted)} tiles of logs beside them" if unlisted else ""
    return checks or [passed("files", f"all {len(listed)} as listed in the manifest{tiles}")]
