"""The contents of a bundle against its ledger: steps 8 and 9 of the procedure in `bundle`."""

from collections.abc import Iterator
from datetime import datetime

from modelnotary.attest.decision import decision_open
from modelnotary.attest.errors import AttestError
from modelnotary.attest.statement import GateDecision
from modelnotary.ledger.digest import Digest
from modelnotary.verify.archive import Files
from modelnotary.verify.bundle_format import KNOWN_FILE, REPORTS_FILE, reports_parse
from modelnotary.verify.errors import BundleError
from modelnotary.verify.evidence_signatures import EVIDENCE_DEPOSITED, EvidenceFiles
from modelnotary.verify.log_replay import Replay
from modelnotary.verify.log_stretch import (
    DECISION_ISSUED,
    POLICY_PUBLISHED,
    REPORT_ISSUED,
    Interest,
    Naming,
)
from modelnotary.verify.result import Check, failed, missing, passed
from modelnotary.verify.trust import Trust


def reports_named(lineage: Replay) -> dict[str, frozenset[Digest]]:
    """The digests of issued reports that a ledger holds, by report id."""
    named: dict[str, set[Digest]] = {}
    for naming in lineage.namings.get(REPORT_ISSUED, []):
        if naming.digest is not None:
            named.setdefault(naming.subject, set()).add(naming.digest)
    return {name: frozenset(digests) for name, digests in named.items()}


class Inventory:
    """The decisions, evidence and policies that are in a bundle, with their digests."""

    def __init__(self, files: Files) -> None:
        self._found = [
            (match.lastgroup, match[match.lastgroup], match[0], Digest.of(files.read(match[0])))
            for match in map(KNOWN_FILE.fullmatch, files.sizes)
            if match is not None and match.lastgroup is not None
        ]

    @property
    def digests(self) -> set[Digest]:
        """The digests of all of them."""
        return {digest for *_, digest in self._found}

    def of_kind(self, kind: str) -> Iterator[tuple[str, str, Digest]]:
        """The name within its kind, path and digest of each ``decision``, ``evidence``, ``envelope`` or ``policy``."""
        for found, name, path, digest in self._found:
            if found == kind:
                yield name, path, digest

    def evidence(self, files: Files) -> EvidenceFiles:
        """Read the evidence and the envelopes beside it."""
        documents, envelopes = (
            {name: files.read(path) for name, path, _ in self.of_kind(kind)} for kind in ("evidence", "envelope")
        )
        return EvidenceFiles(documents, envelopes)

    def interest(self, log: str, about: str) -> Interest:
        """What to look for in the entries of a log for the sake of these files and of what the bundle is about."""
        names = frozenset(name for kind in ("decision", "evidence") for name, _, _ in self.of_kind(kind))
        return Interest(log, names, frozenset(digest for *_, digest in self.of_kind("policy")), about)


class Contents:
    """What is in a bundle, ready to be held against its ledger.

    Args:
        files: the bundle.
        inventory: what is in it.
        subject: id of what the bundle is about; entries about it are the ones that must have a file.
        lineage: the lineage log as read again, with the inventory's interest.
        trust: the decision keys.
    """

    def __init__(self, files: Files, inventory: Inventory, subject: str, lineage: Replay, trust: Trust) -> None:
        self._files = files
        self._inventory = inventory
        self._subject = subject
        self._lineage = lineage
        self._trust = trust

    def checks(self, now: datetime) -> list[Check]:
        """Make all checks; ``now`` tells which decisions have expired."""
        return [*self._decisions(now), *self._evidence(), *self._policies(), *self._reports()]

    def _decisions(self, now: datetime) -> list[Check]:
        entries = {(naming.subject, naming.attestation): naming for naming in self._namings(DECISION_ISSUED)}
        checks, count, expired = self._unaccompanied(DECISION_ISSUED, "decision", "decisions"), 0, 0
        for name, path, digest in self._inventory.of_kind("decision"):
            naming = entries.get((name, digest.text))
            if naming is None:
                checks.append(failed("decisions", f"{path} is not the file the ledger names for {name}"))
                continue
            try:
                decision = self._open(path, naming)
            except AttestError as error:
                checks.append(failed("decisions", f"{path}: {error}"))
                continue
            checks += self._inputs(path, decision)
            count += 1
            expired += decision.expires_at is not None and decision.expires_at <= now
        aside = f"; {expired} no longer valid today" if expired else ""
        return checks or [passed("decisions", f"all {count} signed and named in the ledger{aside}")]

    def _open(self, path: str, naming: Naming) -> GateDecision:
        keys = [item.key for item in self._trust.decision_keys]
        decision, signers = decision_open(self._files.read(path), keys)
        if not self._trust.in_force(signers, decision.decided_at):
            raise AttestError("signed with a key that was not in force at the time of the decision")
        if (decision.id, decision.digest) != (naming.subject, naming.digest):
            raise AttestError("it is not about the decision and the model that the ledger states")
        return decision

    def _inputs(self, path: str, decision: GateDecision) -> Iterator[Check]:
        """Ask for what the decision rests on: its evidence and its policy."""
        present = self._inventory.digests
        for item in decision.evidence:
            if item.digest not in present:
                yield missing("decisions", f"{path} rests on evidence that is not in the bundle: {item.uri}")
        if decision.policy is not None and decision.policy.digest not in present:
            yield missing("decisions", f"{path} applies a policy that is not in the bundle: {decision.policy.uri}")

    def _evidence(self) -> list[Check]:
        entries = {(naming.subject, naming.digest) for naming in self._namings(EVIDENCE_DEPOSITED)}
        checks, count = self._unaccompanied(EVIDENCE_DEPOSITED, "evidence", "evidence"), 0
        for name, path, digest in self._inventory.of_kind("evidence"):
            count += 1
            if (name, digest) not in entries:
                checks.append(failed("evidence", f"{path} is not the file the ledger names for {name}"))
        return checks or [passed("evidence", f"all {count} named in the ledger")]

    def _policies(self) -> list[Check]:
        entries = {naming.digest for naming in self._namings(POLICY_PUBLISHED)}
        policies = list(self._inventory.of_kind("policy"))
        return [
            failed("policies", f"{path} is not a policy that the ledger names")
            for _, path, digest in policies
            if digest not in entries
        ] or [passed("policies", f"all {len(policies)} named in the ledger")]

    def _reports(self) -> list[Check]:
        if REPORTS_FILE not in self._files.sizes:
            return []
        try:
            reports = reports_parse(self._files.read(REPORTS_FILE))
        except BundleError as error:
            return [failed("reports", str(error))]
        issued = reports_named(self._lineage)
        return [
            failed("reports", f"{REPORTS_FILE}: {name} is not a report that the ledger names with this digest")
            for name, digest in reports.items()
            if digest not in issued.get(name, ())
        ] or [passed("reports", f"all {len(reports)} named in the ledger")]

    def _namings(self, event_type: str) -> list[Naming]:
        return self._lineage.namings.get(event_type, [])

    def _unaccompanied(self, event_type: str, kind: str, check: str) -> list[Check]:
        """List what the ledger says about the bundle's subject that has no file in the bundle."""
        present = {name for name, _, _ in self._inventory.of_kind(kind)}
        return [
            missing(check, f"the ledger names {naming.subject} in entry {naming.index}; it is not in the bundle")
            for naming in self._namings(event_type)
            if naming.model_version == self._subject and naming.subject not in present
        ]
