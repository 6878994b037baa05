"""Witnesses: what they sign, what they ask for before they do, and how many of them a reader asks for."""

import sys
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

import public_vectors as vectors
import pytest
import reference_tree as reference
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from modelnotary.ledger.add_checkpoint import (
    AddCheckpoint,
    signatures_parse,
    signatures_write,
    size_parse,
    size_write,
)
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.cosignature import Cosigner, cosignatures_verify
from modelnotary.ledger.errors import (
    LedgerError,
    NoteError,
    NoteSignatureError,
    QuorumError,
    TreeError,
    WitnessMessageError,
    WitnessPolicyError,
)
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import NoteSignature, NoteSigner, NoteVerifier, note_extend, note_open, note_split
from modelnotary.ledger.witness import Ruling, TreeHead, Verdict, Witness
from modelnotary.ledger.witness_policy import PolicyGroup, PolicyWitness, WitnessPolicy

ORIGIN = "notary.example/1/lineage"
LOG = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
FORGER = NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
COSIGNERS = [
    Cosigner(f"witness.example/{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number in range(1, 5)
]
LASTING = Cosigner("witness.example/1", MLDSA44PrivateKey.from_seed_bytes(bytes(32)))
LASTING_VKEY = LASTING.verifier.text
NOW = 1_795_255_200
LEAVES = [leaf_hash(f"entry {number}".encode()) for number in range(40)]


def checkpoint(size: int, *, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, reference.root(leaves[:size]))


def note(size: int, signer: NoteSigner = LOG, *, leaves: list[bytes] = LEAVES) -> bytes:
    return checkpoint_sign(checkpoint(size, leaves=leaves), signer)


def cosigned(size: int, *cosigners: Cosigner) -> bytes:
    return note_extend(note(size), [cosigner.sign(checkpoint(size), at=NOW) for cosigner in cosigners])


@pytest.mark.parametrize("cosigner", [COSIGNERS[0], LASTING], ids=["Ed25519", "ML-DSA-44"])
def test_a_cosignature_holds_for_its_checkpoint_name_and_time_alone(cosigner: Cosigner) -> None:
    signature = cosigner.sign(checkpoint(5), at=NOW)
    [found] = cosignatures_verify(checkpoint(5).text, [signature], [cosigner.verifier])
    assert (found.witness, found.time) == (cosigner.verifier, NOW)
    assert NoteVerifier.from_text(cosigner.verifier.text) == cosigner.verifier
    for text, changed in (
        (checkpoint(6).text, signature.signature),
        (checkpoint(5).text, (NOW + 1).to_bytes(8) + signature.signature[8:]),
        (checkpoint(5).text, b"\xff" + signature.signature[1:]),
        (checkpoint(5).text, signature.signature[:-1]),
        (checkpoint(5).text, signature.signature[:8]),
        (checkpoint(5).text, signature.signature + b"\x00"),
    ):
        with pytest.raises(NoteSignatureError):
            cosignatures_verify(text, [replace(signature, signature=changed)], [cosigner.verifier])


def test_an_ml_dsa_cosignature_speaks_of_the_tree_and_the_witness_but_of_no_extension_lines() -> None:
    extended = replace(checkpoint(5), extensions=("more",))
    for cosigner, agrees in ((LASTING, True), (COSIGNERS[0], False)):
        signature = cosigner.sign(extended, at=NOW)
        if agrees:
            cosigner.verifier.verify(checkpoint(5).text, signature.signature)
        else:
            with pytest.raises(NoteSignatureError):
                cosigner.verifier.verify(checkpoint(5).text, signature.signature)
    renamed = Cosigner("witness.example/2", LASTING.private_key)
    with pytest.raises(NoteSignatureError):
        renamed.verifier.verify(checkpoint(5).text, LASTING.sign(checkpoint(5), at=NOW).signature)


@pytest.mark.parametrize("text", ["hello\n", "a\n1\n", "a\n01\nAAAA\n", f"{'a' * 256}\n5\n{'A' * 43}=\n"])
def test_an_ml_dsa_cosignature_of_anything_but_a_checkpoint_is_refused(text: str) -> None:
    signature = LASTING.sign(checkpoint(5), at=NOW)
    with pytest.raises(NoteSignatureError):
        LASTING.verifier.verify(text, signature.signature)


def test_a_reader_without_ml_dsa_ignores_its_line_and_reads_the_other() -> None:
    data = cosigned(5, COSIGNERS[0], LASTING)
    opened = note_open(data, [LOG.verifier, COSIGNERS[0].verifier])
    assert opened.verified_by == (LOG.verifier, COSIGNERS[0].verifier)


def test_a_key_of_a_type_this_installation_lacks_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
    with pytest.raises(NoteError, match="upgrade"):
        NoteVerifier.from_text(LASTING_VKEY)
    assert NoteVerifier.from_text(LOG.verifier.text) == LOG.verifier


@pytest.mark.parametrize("at", [-1, 2**63])
def test_a_time_that_a_cosignature_cannot_carry_is_refused(at: int) -> None:
    with pytest.raises(NoteError):
        COSIGNERS[0].sign(checkpoint(5), at=at)


def test_a_note_takes_each_further_signature_once() -> None:
    once = cosigned(5, COSIGNERS[0])
    again = note_extend(once, [COSIGNERS[0].sign(checkpoint(5), at=NOW)] * 2)
    assert again == once
    assert len(note_split(cosigned(5, *COSIGNERS))[1]) == 5
    line = note_split(note(5))[1][0]
    with pytest.raises(NoteError):
        note_extend(note(5), [replace(line, signature=bytes([number]) * 64) for number in range(100)])


@vectors.needs_vectors
def test_the_public_cosignature_is_the_one_we_make() -> None:
    case = vectors.load("checkpoint_cosignature.json")["cosignature_v1"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["cosigner_ed25519_seed_hex"]))
    cosigner = Cosigner(case["cosigner_name"], key)
    seen = Checkpoint.from_text(case["checkpoint_body"])
    assert [line["line"] for line in case["lines"] if line["ok"]] == [cosigner.sign(seen, at=case["timestamp"]).line]
    other = vectors.load("checkpoint_cosignature.json")["cosignature_timestamp"]
    # The base64 of a note's signature line: four bytes of key id come first.
    assert int.from_bytes(vectors.unbase64(other["base64"])[4:12]) == other["unix_time"]


REQUEST = AddCheckpoint(3, tuple(reference.proof(3, LEAVES[:8])), note(8))


def test_a_request_reads_back() -> None:
    assert AddCheckpoint.from_bytes(REQUEST.to_bytes()) == REQUEST
    empty = AddCheckpoint(0, (), note(8))
    assert AddCheckpoint.from_bytes(empty.to_bytes()) == empty


@vectors.needs_vectors
def test_the_public_request_is_read_and_written_alike() -> None:
    case = vectors.load("witness_add_checkpoint.json")
    request = AddCheckpoint.from_bytes(case["request"].encode())
    expected = case["parsed"]
    assert request.to_bytes() == case["request"].encode()
    assert (request.old_size, [value.hex() for value in request.proof]) == (expected["old_size"], expected["proof_hex"])
    seen = request.checkpoint
    assert (seen.origin, seen.size, seen.root.hex()) == (expected["origin"], expected["size"], expected["root_hex"])
    assert note_split(request.note)[1][0].key_id.hex() == expected["key_id_hex"]


BAD_REQUESTS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "no old size": lambda r: r.removeprefix(b"old 3\n"),
    "a size with a leading zero": lambda r: r.replace(b"old 3", b"old 03"),
    "a size with a sign": lambda r: r.replace(b"old 3", b"old +3"),
    "a size beyond 63 bits": lambda r: r.replace(b"old 3", b"old 9223372036854775808"),
    "a hash that is no base64": lambda r: r.replace(b"old 3\n", b"old 3\n!!\n"),
    "a hash of three bytes": lambda r: r.replace(b"old 3\n", b"old 3\nQUJD\n"),
    "64 hashes": lambda r: r.replace(b"old 3\n", b"old 3\n" + b"A" * 43 + b"=\n" * 64),
    "a proof that is not ASCII": lambda r: r.replace(b"old 3\n", "old 3\né\n".encode()),
    "no checkpoint": lambda r: r.partition(b"\n\n")[0] + b"\n\n",
    "no empty line": lambda r: r.partition(b"\n\n")[0],
    "a carriage return": lambda r: r.replace(b"old 3\n", b"old 3\r\n"),
    "a note that is no checkpoint": lambda r: r.replace(b"\n8\n", b"\neight\n"),
    "megabytes": lambda r: r + b"a" * 1_000_000,
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_malformed_request_is_refused(case: str) -> None:
    data = BAD_REQUESTS[case](REQUEST.to_bytes())
    with pytest.raises(WitnessMessageError):
        AddCheckpoint.from_bytes(data)
    ruling = Witness({ORIGIN: [LOG.verifier]}).decide(data, lambda _: TreeHead())
    assert (ruling.verdict, ruling.head) == (Verdict.MALFORMED, None)


def test_answers_read_back() -> None:
    lines = [cosigner.sign(checkpoint(8), at=NOW) for cosigner in (COSIGNERS[0], LASTING)]
    assert signatures_parse(signatures_write(lines)) == lines
    assert size_parse(size_write(2**40)) == 2**40


@pytest.mark.parametrize("answer", [b"", b"\n", b"hello\n", note(8).split(b"\n")[-2], b"\xff\n", b"a" * 70_000])
def test_a_malformed_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(WitnessMessageError):
        signatures_parse(answer)


@pytest.mark.parametrize("answer", [b"", b"5", b"05\n", b"5\n5\n", b"-5\n", b"\xff\n", b"1" * 40 + b"\n"])
def test_a_malformed_size_is_refused(answer: bytes) -> None:
    with pytest.raises(WitnessMessageError):
        size_parse(answer)


class Memory:
    """A witness that remembers, as its callers have to."""

    def __init__(self) -> None:
        self.witness = Witness({ORIGIN: [LOG.verifier]})
        self.heads: dict[str, TreeHead] = {}

    def ask(self, request: AddCheckpoint) -> Ruling:
        ruling = self.witness.decide(request.to_bytes(), lambda origin: self.heads.get(origin, TreeHead()))
        if ruling.head is not None:
            self.heads[ORIGIN] = ruling.head
        return ruling


def request(old: int, new: int, *, leaves: list[bytes] = LEAVES, signer: NoteSigner = LOG) -> AddCheckpoint:
    proof = tuple(reference.proof(old, leaves[:new])) if 0 < old <= new else ()
    return AddCheckpoint(old, proof, note(new, signer, leaves=leaves))


def test_a_witness_follows_a_growing_log_and_cosigns_a_tree_again() -> None:
    memory = Memory()
    for old, new in ((0, 0), (0, 5), (5, 5), (5, 6), (6, 40)):
        ruling = memory.ask(request(old, new))
        assert (ruling.verdict, ruling.checkpoint) == (Verdict.GRANTED, checkpoint(new))
    assert memory.heads == {ORIGIN: TreeHead(40, reference.root(LEAVES))}


OTHER = [leaf_hash(b"another history"), *LEAVES[1:]]
STRANGER = NoteSigner("other.example", LOG.private_key)
# What a witness that last saw a tree of 8 must refuse: the request, and why.
REFUSED: dict[str, tuple[AddCheckpoint, Verdict]] = {
    "signed by another key": (request(8, 12, signer=FORGER), Verdict.NOT_SIGNED),
    "of a log it does not follow": (
        AddCheckpoint(8, (), checkpoint_sign(Checkpoint("other.example", 8, bytes(32)), STRANGER)),
        Verdict.UNKNOWN_LOG,
    ),
    "from a larger tree to a smaller one": (request(12, 8), Verdict.BACKWARD),
    "from a tree it saw earlier": (request(5, 12), Verdict.STALE),
    "from a tree it has not seen": (request(9, 12), Verdict.STALE),
    "from nothing": (request(0, 12), Verdict.STALE),
    "from nothing, of another history": (request(0, 12, leaves=OTHER), Verdict.STALE),
    "a smaller tree": (request(5, 7), Verdict.STALE),
    "another tree of the same size": (request(8, 8, leaves=OTHER), Verdict.SPLIT_VIEW),
    "the same tree with a proof": (replace(request(8, 8), proof=(bytes(32),)), Verdict.INCONSISTENT),
    "a larger tree of another history": (request(8, 12, leaves=OTHER), Verdict.INCONSISTENT),
    "a larger tree without a proof": (replace(request(8, 12), proof=()), Verdict.INCONSISTENT),
    "a proof with a changed hash": (
        replace(request(8, 12), proof=(bytes(32), *request(8, 12).proof[1:])),
        Verdict.INCONSISTENT,
    ),
    "a proof with a hash too many": (
        replace(request(8, 12), proof=(*request(8, 12).proof, bytes(32))),
        Verdict.INCONSISTENT,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_witness_refuses_what_does_not_extend_the_last_tree_it_saw(case: str) -> None:
    memory = Memory()
    memory.ask(request(0, 8))
    asked, verdict = REFUSED[case]
    ruling = memory.ask(asked)
    assert (ruling.verdict, ruling.checkpoint, ruling.head) == (verdict, None, None)
    assert memory.heads == {ORIGIN: TreeHead(8, reference.root(LEAVES[:8]))}
    assert ruling.verdict.accuses_log == (verdict is Verdict.SPLIT_VIEW)
    content_type, body = ruling.refusal
    if verdict is Verdict.STALE:
        assert (content_type, size_parse(body)) == ("text/x.tlog.size", 8)
    else:
        assert body.decode().strip()


def test_a_new_witness_accepts_no_proof_from_nothing() -> None:
    assert Memory().ask(replace(request(0, 8), proof=(bytes(32),))).verdict is Verdict.INCONSISTENT


def test_each_verdict_has_the_status_of_the_protocol() -> None:
    assert {verdict.word: int(verdict.status) for verdict in Verdict} == {
        "granted": 200,
        "malformed": 400,
        "backward": 400,
        "not-signed": 403,
        "unknown-log": 404,
        "stale": 409,
        "split-view": 422,
        "inconsistent": 422,
    }


@vectors.needs_vectors
def test_the_public_sequence_of_requests_gets_the_public_answers() -> None:
    memory = Memory()
    for step in vectors.load("witness_add_checkpoint.json")["protocol_sequence"]:
        ruling = memory.ask(request(step["old"], step["new"]))
        assert ruling.verdict.status == step["status"]
        if ruling.verdict.status == HTTPStatus.CONFLICT:
            assert ruling.refusal == (step["content_type"], step["body"].encode())


@pytest.mark.parametrize(("size", "root"), [(-1, bytes(32)), (0, bytes(32)), (1, bytes(31))])
def test_a_tree_that_cannot_be_is_not_remembered(size: int, root: bytes) -> None:
    with pytest.raises(TreeError):
        TreeHead(size, root)


def policy_text(quorum: str = "quorum two", *, groups: str = "group two 2 w1 w2 w3\n") -> bytes:
    witnesses = "".join(
        f"witness w{number}\t{cosigner.verifier.text} https://witness.example/{number}\n"
        for number, cosigner in enumerate(COSIGNERS, start=1)
    )
    return f"# who is asked\n\nlog {LOG.verifier.text}\n  {witnesses}{groups}{quorum}\n".encode()


POLICY = WitnessPolicy.from_bytes(policy_text())


def test_a_policy_reads_back() -> None:
    assert WitnessPolicy.from_bytes(POLICY.to_bytes()) == POLICY
    assert POLICY.witnesses[0] == PolicyWitness("w1", COSIGNERS[0].verifier, "https://witness.example/1")
    assert POLICY.groups == (PolicyGroup("two", 2, ("w1", "w2", "w3")),)


def test_names_that_are_not_utf_8_keep_their_bytes() -> None:
    data = b"witness \xff\xe2\x84\xaa " + COSIGNERS[0].verifier.text.encode() + b"\nquorum \xff\xe2\x84\xaa\n"
    assert WitnessPolicy.from_bytes(data).to_bytes() == data


NESTED = "group ab any w1 w2\ngroup cd all w3 w4\ngroup both all ab cd\n"
# Groups and quorum, witnesses that sign, and whether that is enough.
QUORUMS: list[tuple[str, str, list[int], bool]] = [
    ("", "none", [], True),
    ("", "none", [1], True),
    ("", "w2", [2], True),
    ("", "w2", [1, 3], False),
    ("group two 2 w1 w2 w3\n", "two", [1, 3], True),
    ("group two 2 w1 w2 w3\n", "two", [1, 4], False),
    ("group two 2 w1 w2 w3\n", "two", [1], False),
    (NESTED, "both", [2, 3, 4], True),
    (NESTED, "both", [1, 2, 3], False),
    (NESTED, "both", [3, 4], False),
]


@pytest.mark.parametrize(("groups", "quorum", "signing", "enough"), QUORUMS)
def test_a_quorum_is_reached_by_as_many_witnesses_as_it_asks_for(
    groups: str, quorum: str, signing: list[int], enough: bool
) -> None:
    policy = WitnessPolicy.from_bytes(policy_text(f"quorum {quorum}", groups=groups))
    data = cosigned(8, *(COSIGNERS[number - 1] for number in signing))
    if enough:
        witnessed = policy.open(data)
        assert (witnessed.checkpoint, witnessed.log) == (checkpoint(8), LOG.verifier)
        assert [item.witness.name for item in witnessed.cosignatures] == [f"witness.example/{n}" for n in signing]
        assert {item.time for item in witnessed.cosignatures} <= {NOW}
    else:
        with pytest.raises(QuorumError):
            policy.open(data)


def test_one_witness_signing_twice_is_one_witness() -> None:
    lines = [COSIGNERS[0].sign(checkpoint(8), at=NOW + second) for second in range(3)]
    with pytest.raises(QuorumError):
        POLICY.open(note_extend(note(8), lines))


def broken(line: NoteSignature) -> NoteSignature:
    return replace(line, signature=line.signature[:-1] + bytes([line.signature[-1] ^ 1]))


# Notes that the policy of two witnesses out of three must refuse.
UNWITNESSED: dict[str, bytes] = {
    "signed by another log key": note_extend(
        note(8, FORGER), [cosigner.sign(checkpoint(8), at=NOW) for cosigner in COSIGNERS]
    ),
    "a witness's signature that does not hold beside enough others": note_extend(
        cosigned(8, *COSIGNERS[1:]), [broken(COSIGNERS[0].sign(checkpoint(8), at=NOW))]
    ),
    "signatures over another checkpoint": note_extend(
        note(8), [cosigner.sign(checkpoint(9), at=NOW) for cosigner in COSIGNERS]
    ),
    "only the witnesses": cosigned(8, *COSIGNERS).replace(note(8).split(b"\n")[-2] + b"\n", b""),
    "no note": b"hello",
}


@pytest.mark.parametrize("case", UNWITNESSED)
def test_a_checkpoint_that_does_not_meet_the_policy_is_refused(case: str) -> None:
    with pytest.raises(LedgerError):
        POLICY.open(UNWITNESSED[case])


def test_a_policy_without_logs_needs_the_log_from_elsewhere() -> None:
    policy = replace(POLICY, logs=())
    data = cosigned(8, *COSIGNERS)
    with pytest.raises(QuorumError):
        policy.open(data)
    assert policy.open(data, log=LOG.verifier).checkpoint == checkpoint(8)
    # The policy's own logs win over the one known from elsewhere.
    with pytest.raises(NoteSignatureError):
        POLICY.open(note_extend(note(8, FORGER), note_split(data)[1][1:]), log=FORGER.verifier)


def test_both_keys_of_a_log_are_accepted_while_it_changes_its_key() -> None:
    policy = WitnessPolicy.from_bytes(f"log {FORGER.verifier.text}\nlog {LOG.verifier.text}\nquorum none\n".encode())
    assert policy.open(note(8)).log == LOG.verifier
    assert policy.open(note(8, FORGER)).log == FORGER.verifier


W1 = f"witness w1 {COSIGNERS[0].verifier.text}"
BAD_POLICIES: dict[str, str | bytes] = {
    "nothing": "",
    "no quorum": f"{W1}\n",
    "two quorums": f"{W1}\nquorum w1\nquorum w1\n",
    "a quorum of nobody": f"{W1}\nquorum w2\n",
    "a quorum before its witness": f"quorum w1\n{W1}\n",
    "no final newline": f"{W1}\nquorum w1",
    "a carriage return": f"{W1}\r\nquorum w1\n",
    "a control character in a comment": f"# \x7f\n{W1}\nquorum w1\n",
    "a word that is no definition": f"{W1}\nwitnesses\nquorum w1\n",
    "a witness without a key": "witness w1\nquorum none\n",
    "a witness with a word too many": f"{W1} https://a.example b\nquorum w1\n",
    "a witness with a log's key": f"witness w1 {LOG.verifier.text}\nquorum none\n",
    "a log with a witness's key": f"log {COSIGNERS[0].verifier.text}\nquorum none\n",
    "a witness called none": f"witness none {COSIGNERS[0].verifier.text}\nquorum none\n",
    "the same witness twice": f"{W1}\n{W1.replace('w1', 'w2')}\nquorum w1\n",
    "the same log twice": f"log {LOG.verifier.text}\n" * 2 + "quorum none\n",
    "the same name twice": f"{W1}\ngroup w1 any w1\nquorum w1\n",
    "a group without members": f"{W1}\ngroup g 1\nquorum g\n",
    "a group that asks for nobody": f"{W1}\ngroup g 0 w1\nquorum g\n",
    "a group that asks for more than it has": f"{W1}\ngroup g 2 w1\nquorum g\n",
    "a group with a member twice": f"{W1}\ngroup g 2 w1 w1\nquorum g\n",
    "a group with none in it": f"{W1}\ngroup g any w1 none\nquorum g\n",
    "a group that has itself in it": f"{W1}\ngroup g any w1 g\nquorum g\n",
    "a group that uses a later one": f"{W1}\ngroup g any h\ngroup h any w1\nquorum g\n",
    "a group with a fraction": f"{W1}\ngroup g 1.0 w1\nquorum g\n",
    "a key with a bad id": f"{W1.replace('+', '+0', 1)}\nquorum w1\n",
    "a key whose name is not UTF-8": b"log \xff" + LOG.verifier.text.encode() + b"\nquorum none\n",
    "too many definitions": f"{W1}\n" + "".join(f"group g{n} any w1\n" for n in range(256)) + "quorum w1\n",
    "megabytes": "#" * 1_000_000 + f"\n{W1}\nquorum w1\n",
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_a_malformed_policy_is_refused(case: str) -> None:
    text = BAD_POLICIES[case]
    with pytest.raises(WitnessPolicyError):
        WitnessPolicy.from_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("name", ["", "two words", "new\nline", "\ud800"])
def test_a_policy_that_could_not_be_read_back_is_not_made(name: str) -> None:
    with pytest.raises(WitnessPolicyError):
        replace(POLICY, groups=(PolicyGroup(name, 1, ("w1",)),), quorum=name)
