"""What anchors gave travels with the evidence: the verifier says what it proves, and refuses what was forged."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sample_bundle as sample
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sample_bundle import KEYS, LINEAGE, NOW, Sample
from timestamp_authority import OpensslAuthority

from modelnotary.ledger.add_checkpoint import signatures_write
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tree import consistency_path, perfect_root, tree_root
from modelnotary.ledger.witness_policy import PolicyWitness, WitnessPolicy
from modelnotary.verify.archive import archive_write
from modelnotary.verify.bundle import bundle_examine
from modelnotary.verify.errors import BundleError
from modelnotary.verify.receipts import RECEIPTS_FILE, Receipt, receipts_parse, receipts_write
from modelnotary.verify.result import Check, ExitCode
from modelnotary.verify.trust import Trust

ENTRIES = Sample(fill=40).entries()
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SIZE, THEN = len(ENTRIES), 30
TSA, WITNESS_AT, FOLDER = "tsa+https://tsa.example/tsr", "witness+https://witness.example#key", "file:///srv/anchors"
WITNESS = Cosigner("witness.example/1", Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
STRANGER = Cosigner("witness.example/2", Ed25519PrivateKey.from_private_bytes(bytes([2] * 32)))
POLICY = WitnessPolicy((), (PolicyWitness("here", WITNESS.verifier, None),), (), "none")


def node(level: int, index: int) -> bytes:
    return perfect_root(LEAVES[index << level : (index + 1) << level])


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(LINEAGE, size, tree_root(leaves[:size]))


def note_of(tree: Checkpoint) -> bytes:
    return checkpoint_sign(tree, KEYS.signer(LINEAGE))


NOTE = note_of(checkpoint(THEN))
PROOF = tuple(consistency_path(THEN, SIZE, node))


def cosigned(cosigner: Cosigner, tree: Checkpoint) -> bytes:
    return signatures_write([cosigner.sign(tree, at=1_795_255_200)])


@dataclass(frozen=True)
class Given:
    """What the places gave, and what the auditor has."""

    authority: OpensslAuthority
    other: OpensslAuthority
    timestamp: Receipt
    witness: Receipt
    folder: Receipt

    def check(
        self, *receipts: Receipt, roots: tuple[str, ...] | None = None, policy: WitnessPolicy | None = POLICY
    ) -> tuple[list[Check], ExitCode]:
        return self.examine(receipts_write(receipts), roots=roots, policy=policy)

    def examine(
        self, data: bytes, *, roots: tuple[str, ...] | None = None, policy: WitnessPolicy | None = POLICY
    ) -> tuple[list[Check], ExitCode]:
        path = self.authority.folder / "bundle.zip"
        made = Sample(fill=40, edit_files=lambda files: files | {f"logs/lineage/{RECEIPTS_FILE}": data})
        archive_write(path, made.files())
        trust = replace(KEYS.trust(), timestamp_roots=(self.authority.root,) if roots is None else roots)
        report = bundle_examine(path, trust, kept=None, now=NOW, policy=policy).report
        return [check for check in report.checks if check.name == "lineage anchors"], report.exit_code


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    authority = OpensslAuthority(tmp_path_factory.mktemp("authority"))
    return Given(
        authority,
        OpensslAuthority(tmp_path_factory.mktemp("other")),
        Receipt("timestamp", TSA, NOTE, authority.token(NOTE), PROOF),
        Receipt("witness", WITNESS_AT, NOTE, cosigned(WITNESS, checkpoint(THEN)), PROOF),
        Receipt("file", FOLDER, NOTE, b"lineage/000000000030.checkpoint", PROOF),
    )


def test_what_is_proven_and_what_cannot_be_checked_is_said_in_words(given: Given) -> None:
    [check], verdict = given.check(given.timestamp, given.witness, given.folder)
    assert (check.outcome, verdict) == ("pass", ExitCode.VERIFIED)
    assert "the first 30 entries existed at 20" in check.detail
    assert "Z, by timestamps" in check.detail
    assert "seen by witness.example/1 at 2026-11-21T" in check.detail
    assert f"Not checked, for it cannot be offline: file {FOLDER} (30 entries)" in check.detail


def test_a_receipt_of_the_very_checkpoint_needs_no_proof(given: Given) -> None:
    note = note_of(checkpoint(SIZE))
    [check], verdict = given.check(replace(given.timestamp, note=note, receipt=given.authority.token(note), proof=()))
    assert verdict is ExitCode.VERIFIED
    assert f"the first {SIZE} entries existed" in check.detail


def test_a_cosignature_of_the_very_checkpoint_fills_the_quorum(given: Given) -> None:
    now = Receipt("witness", WITNESS_AT, note_of(checkpoint(SIZE)), cosigned(WITNESS, checkpoint(SIZE)), ())
    asked = replace(POLICY, quorum="here")
    assert given.check(now, policy=asked)[1] is ExitCode.INCOMPLETE  # the access log was seen by nobody
    path = given.authority.folder / "bundle.zip"
    report = bundle_examine(path, KEYS.trust(), kept=None, now=NOW, policy=asked).report
    assert {check.name: check.outcome for check in report.checks}["lineage witnesses"] == "pass"


def test_nothing_is_proven_by_authorities_and_witnesses_that_nobody_named(given: Given) -> None:
    [check], verdict = given.check(given.timestamp, given.witness, roots=(), policy=None)
    assert verdict is ExitCode.VERIFIED
    assert check.detail.startswith("no point in time and no witness is proven")
    assert "the trust file names no timestamp root" in check.detail
    assert "needs a policy with the witness's key" in check.detail


FORGED = note_of(checkpoint(THEN, [*LEAVES[:7], LEAVES[9], *LEAVES[8:]]))
ANOTHER = note_of(checkpoint(THEN - 1))
LATER = note_of(Checkpoint(LINEAGE, SIZE + 1, bytes(32)))


def turned(token: bytes, at: int) -> bytes:
    return token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :]


# What the attacker puts in, the outcome, and what is said.
ATTACKS: dict[str, tuple[Callable[[Given], Receipt], str, str]] = {
    "a timestamp of another checkpoint": (
        lambda g: replace(g.timestamp, note=ANOTHER, proof=tuple(consistency_path(THEN - 1, SIZE, node))),
        "fail",
        "a timestamp of something else",
    ),
    "a timestamp's signature altered": (
        lambda g: replace(g.timestamp, receipt=turned(g.timestamp.receipt, len(g.timestamp.receipt) - 1)),
        "fail",
        "signature does not hold",
    ),
    "a timestamp's time altered": (
        lambda g: replace(g.timestamp, receipt=g.timestamp.receipt.replace(b"Z\x30\x03\x02\x01", b"Y\x30\x03\x02\x01")),
        "fail",
        "cannot be read as a timestamp|does not hold|something else",
    ),
    "no timestamp at all": (lambda g: replace(g.timestamp, receipt=b"trust me"), "fail", "cannot be read"),
    "an authority of the attacker's": (
        lambda g: replace(g.timestamp, receipt=g.other.token(NOTE)),
        "missing",
        "no timestamp root of the trust file certified timestamps",
    ),
    "a checkpoint that the log did not sign": (
        lambda g: replace(g.folder, note=checkpoint_sign(checkpoint(THEN), sample.FORGER.signer(LINEAGE))),
        "fail",
        "the receipt of file",
    ),
    "a checkpoint of another history": (lambda g: replace(g.folder, note=FORGED), "fail", "this log does not begin"),
    "a proof that does not hold": (
        lambda g: replace(g.folder, proof=(bytes(32), *PROOF[1:])),
        "fail",
        "or the proof beside it is wrong",
    ),
    "a proof left out": (lambda g: replace(g.folder, proof=()), "fail", "or the proof beside it is wrong"),
    "more entries outside than here": (
        lambda g: replace(g.folder, note=LATER, proof=()),
        "missing",
        "this evidence is older, or the log was cut back",
    ),
    "a cosignature by nobody known": (
        lambda g: replace(g.witness, receipt=cosigned(STRANGER, checkpoint(THEN))),
        "pass",
        "which is not a witness of the policy",
    ),
    "a known witness's cosignature of another tree": (
        lambda g: replace(g.witness, receipt=cosigned(WITNESS, checkpoint(THEN - 1))),
        "fail",
        "the receipt of witness",
    ),
    "no cosignature at all": (lambda g: replace(g.witness, receipt=b"seen!\n"), "fail", "the receipt of witness"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_forged_receipt_is_refused_or_counts_for_nothing(given: Given, name: str) -> None:
    forge, outcome, words = ATTACKS[name]
    [check], verdict = given.check(forge(given))
    assert check.outcome == outcome
    assert any(word in check.detail for word in words.split("|")), check.detail
    assert "existed at" not in check.detail
    assert "were seen by" not in check.detail
    expected = {"fail": ExitCode.TAMPERED, "missing": ExitCode.INCOMPLETE, "pass": ExitCode.VERIFIED}
    assert verdict is expected[outcome]


def test_no_byte_of_a_timestamp_can_be_turned_so_that_it_proves_another_time(given: Given) -> None:
    token = given.timestamp.receipt
    [genuine], _ = given.check(given.timestamp)
    for at in range(0, len(token), 97):
        [check], _ = given.check(replace(given.timestamp, receipt=turned(token, at)))
        assert check.outcome != "pass" or check.detail == genuine.detail, at


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"format":"modelnotary-receipts/v2","receipts":[]}',
        b'{"format":"modelnotary-receipts/v1","receipts":[{}]}',
        b'{"format":"modelnotary-receipts/v1","receipts":[],"x":1}',
        b'{"format":"modelnotary-receipts/v1", "receipts":[]}',
    ],
)
def test_a_malformed_file_of_receipts_is_refused(given: Given, data: bytes) -> None:
    with pytest.raises(BundleError):
        receipts_parse(data)
    [check], verdict = given.examine(data)
    assert (check.outcome, verdict) == ("fail", ExitCode.TAMPERED)


def test_receipts_are_read_as_they_were_written(given: Given) -> None:
    receipts = (given.timestamp, given.witness, given.folder)
    assert receipts_parse(receipts_write(receipts)) == receipts


def test_timestamp_roots_stand_in_the_trust_file(given: Given, tmp_path: Path) -> None:
    trust = replace(KEYS.trust(), timestamp_roots=(given.authority.root,))
    assert Trust.from_bytes(trust.to_bytes()) == trust
    assert b"timestamp_roots" not in KEYS.trust().to_bytes()
    assert trust.fingerprint != KEYS.trust().fingerprint
