"""Signed notes, checkpoints and proof files: what is accepted, and what must never be."""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from itertools import product
from typing import Any

import public_vectors as vectors
import pytest
import reference_tree as reference
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open, checkpoint_sign
from modelnotary.ledger.errors import (
    CheckpointError,
    LedgerError,
    NoteError,
    NoteSignatureError,
    ProofError,
    TextError,
)
from modelnotary.ledger.merkle import EMPTY_ROOT, MAX_TREE_SIZE, leaf_hash
from modelnotary.ledger.note import (
    NoteSignature,
    NoteSigner,
    NoteVerifier,
    note_open,
    note_sign,
    note_split,
)
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.signature_types import ED25519_COSIGNATURE
from modelnotary.ledger.text import base64_bytes, base64_text, decimal
from modelnotary.ledger.tree import tree_root

ORIGIN = "notary.example/1/lineage"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = NoteSigner(ORIGIN, KEY)
OTHER = NoteSigner("other.example", Ed25519PrivateKey.from_private_bytes(bytes(32)))
TEXT = "one\n\ntwo — ünïcode\n"
NOTE = note_sign(TEXT, [SIGNER])


@given(st.binary(max_size=40))
def test_base64_reads_back(data: bytes) -> None:
    assert base64_bytes(base64_text(data)) == data


@pytest.mark.parametrize("text", ["QQ", "QR==", "Q Q=", "QQ==\n", "QQ=", "-_==", "é===", "QQ==QQ=="])
def test_other_base64_spellings_are_refused(text: str) -> None:
    with pytest.raises(TextError):
        base64_bytes(text)


@given(st.integers(0, MAX_TREE_SIZE))
def test_decimals_read_back(number: int) -> None:
    assert decimal(str(number)) == number


@pytest.mark.parametrize("text", ["", "+1", "-1", "01", "1_0", " 1", "1\n", "٣", "1.0", str(2**63), "9" * 5000])
def test_other_decimal_spellings_are_refused(text: str) -> None:
    with pytest.raises(TextError):
        decimal(text)


def test_a_signed_note_opens_to_its_text() -> None:
    note = note_open(NOTE, [SIGNER.verifier])
    assert (note.text, note.verified_by) == (TEXT, (SIGNER.verifier,))


def test_a_note_by_two_signers_opens_for_whoever_knows_one_of_them() -> None:
    data = note_sign(TEXT, [SIGNER, OTHER])
    assert note_open(data, [OTHER.verifier]).verified_by == (OTHER.verifier,)
    assert note_open(data, [OTHER.verifier, SIGNER.verifier]).verified_by == (SIGNER.verifier, OTHER.verifier)


def test_every_single_byte_of_a_note_matters() -> None:
    for position, bit in product(range(len(NOTE)), (0x01, 0x20)):
        tampered = NOTE[:position] + bytes([NOTE[position] ^ bit]) + NOTE[position + 1 :]
        with pytest.raises(NoteError):
            note_open(tampered, [SIGNER.verifier])


SIGNATURE_LINE = NOTE[len(TEXT) + 4 :].split(b"\n")[0]
BAD_NOTES: dict[str, bytes] = {
    "nothing": b"",
    "only text": TEXT.encode(),
    "no signature": TEXT.encode() + b"\n",
    "no final newline": NOTE[:-1],
    "a line after the signatures": NOTE + b"more\n",
    "an empty line after the signatures": NOTE + b"\n",
    "a carriage return": NOTE.replace(b"one\n", b"one\r\n"),
    "a control character": b"\x01" + NOTE,
    "a byte order mark": b"\xef\xbb\xbf" + NOTE,
    "bytes that are not UTF-8": b"\xff" + NOTE,
    "a hyphen for the dash": NOTE.replace("— notary".encode(), b"- notary"),
    "two spaces in the line": NOTE.replace(b"lineage ", b"lineage  "),
    "unpadded base64": NOTE.replace(b"=\n", b"\n"),
    "a signature too short to have a key id": TEXT.encode() + "\n— a QUJDRA==\n".encode(),
    "a key name with plus": TEXT.encode() + "\n— a+b QUJDREVG\n".encode(),
    "more than 64 KiB": b"a" * 70_000 + NOTE,
    "a million lines": b"a\n" * 1_000_000 + NOTE,
    "101 signatures": NOTE + NOTE.split(b"\n\n")[-1] * 100,
    "a bad signature beside a good one by the same key": NOTE
    + NoteSignature(ORIGIN, SIGNER.verifier.key_id, bytes(64)).line.encode()
    + b"\n",
    "a good signature of other text": note_sign("other\n", [SIGNER]).replace(b"other\n", TEXT.encode(), 1),
    "a signature only by someone else": note_sign(TEXT, [OTHER]),
    "the right key id under another name": NOTE.replace(b"notary.example", b"notari.example"),
}


@pytest.mark.parametrize("case", BAD_NOTES)
def test_a_note_that_is_not_in_order_is_refused(case: str) -> None:
    with pytest.raises(NoteError):
        note_open(BAD_NOTES[case], [SIGNER.verifier])


def test_a_note_nobody_is_trusted_for_is_refused() -> None:
    with pytest.raises(NoteSignatureError):
        note_open(NOTE, [])


def test_two_keys_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(NoteError):
        note_open(NOTE, [SIGNER.verifier, SIGNER.verifier])


def test_a_hundred_signatures_are_accepted() -> None:
    line = NOTE.split(b"\n\n")[-1]
    assert len(note_split(NOTE + line * 99)[1]) == 100
    assert note_open(NOTE + line * 99, [SIGNER.verifier]).verified_by == (SIGNER.verifier,)


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "\ufeffmark\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        note_sign(text, [SIGNER])


def test_a_note_without_signers_is_not_made() -> None:
    with pytest.raises(NoteError):
        note_sign(TEXT, [])


def test_public_keys_read_back() -> None:
    assert NoteVerifier.from_text(SIGNER.verifier.text) == SIGNER.verifier
    witness = NoteVerifier("witness.example", ED25519_COSIGNATURE, SIGNER.verifier.public_key)
    assert NoteVerifier.from_text(witness.text) == witness


VKEY = SIGNER.verifier.text
BAD_VKEYS = [
    "",
    "name",
    "name+12345678",
    VKEY.replace("notary", "notari"),
    VKEY.replace("notary", "not ary"),
    VKEY.replace("+", "++", 1),
    VKEY[:-4],
    VKEY + "AAAA",
    VKEY + "\n",
    VKEY.upper(),
    "name+e3b0c442+",
    NoteVerifier("n", ED25519_COSIGNATURE, bytes(32)).text.replace("BAAA", "AgAA"),
]


@pytest.mark.parametrize("vkey", BAD_VKEYS)
def test_a_malformed_public_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        NoteVerifier.from_text(vkey)


def private_text(signer: NoteSigner) -> str:
    assert isinstance(signer.private_key, Ed25519PrivateKey)
    seed = b"\x01" + signer.private_key.private_bytes_raw()
    return f"PRIVATE+KEY+{signer.name}+{signer.verifier.key_id.hex()}+{b64encode(seed).decode()}"


def test_a_private_key_in_the_convention_of_go_signs_alike() -> None:
    assert note_sign(TEXT, [NoteSigner.from_text(private_text(SIGNER))]) == NOTE


@pytest.mark.parametrize(
    "skey",
    [
        "",
        VKEY,
        private_text(SIGNER).replace("notary", "notari"),
        private_text(SIGNER)[:-4],
        private_text(SIGNER).replace("PRIVATE", "private"),
        "PRIVATE+KEY+" + VKEY.replace("+AQ", "+BA"),
    ],
)
def test_a_malformed_private_key_is_refused(skey: str) -> None:
    with pytest.raises(NoteError):
        NoteSigner.from_text(skey)


CHECKPOINT = Checkpoint(ORIGIN, 3, hashlib.sha256(b"root").digest())


def test_a_checkpoint_reads_back() -> None:
    assert Checkpoint.from_text(CHECKPOINT.text) == CHECKPOINT
    extended = Checkpoint(ORIGIN, 3, CHECKPOINT.root, ("more", "lines"))
    assert Checkpoint.from_text(extended.text) == extended


def test_a_signed_checkpoint_opens_for_the_logs_key() -> None:
    assert checkpoint_open(checkpoint_sign(CHECKPOINT, SIGNER), SIGNER.verifier) == CHECKPOINT


ROOT = base64_text(CHECKPOINT.root)
BAD_CHECKPOINTS = {
    "nothing": "",
    "two lines": f"{ORIGIN}\n3\n",
    "no final newline": f"{ORIGIN}\n3\n{ROOT}",
    "an empty origin": f"\n3\n{ROOT}\n",
    "a size with a leading zero": f"{ORIGIN}\n03\n{ROOT}\n",
    "a size with a sign": f"{ORIGIN}\n+3\n{ROOT}\n",
    "a negative size": f"{ORIGIN}\n-3\n{ROOT}\n",
    "a size with an underscore": f"{ORIGIN}\n1_0\n{ROOT}\n",
    "a size beyond 63 bits": f"{ORIGIN}\n9223372036854775808\n{ROOT}\n",
    "a root that is no base64": f"{ORIGIN}\n3\nThisIsn'tBase64\n",
    "a root of 31 bytes": f"{ORIGIN}\n3\n{base64_text(bytes(31))}\n",
    "a root with stray bits": f"{ORIGIN}\n3\n{ROOT[:-2]}{chr(ord(ROOT[-2]) + 1)}=\n",
    "an empty extension line": f"{ORIGIN}\n3\n{ROOT}\n\nmore\n",
    "an empty log with another root": f"{ORIGIN}\n0\n{ROOT}\n",
}


@pytest.mark.parametrize("case", BAD_CHECKPOINTS)
def test_a_malformed_checkpoint_is_refused_even_when_signed(case: str) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.from_text(BAD_CHECKPOINTS[case])
    if BAD_CHECKPOINTS[case].endswith("\n"):
        with pytest.raises(LedgerError):
            checkpoint_open(note_sign(BAD_CHECKPOINTS[case], [SIGNER]), SIGNER.verifier)


def test_a_log_cannot_sign_or_speak_for_another() -> None:
    with pytest.raises(CheckpointError):
        checkpoint_sign(CHECKPOINT, OTHER)
    with pytest.raises(CheckpointError):
        checkpoint_open(note_sign(CHECKPOINT.text, [OTHER]), OTHER.verifier)


ENTRIES = [f"entry {number}".encode() for number in range(5)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
PROOF = InclusionProof(
    3,
    tuple(reference.path(3, LEAVES)),
    checkpoint_sign(Checkpoint(ORIGIN, 5, tree_root(LEAVES)), SIGNER),
    ENTRIES[3],
)


def test_a_proof_file_reads_back_and_proves_its_entry() -> None:
    proof = InclusionProof.from_bytes(PROOF.to_bytes())
    assert proof == PROOF
    assert proof.verify(ENTRIES[3], SIGNER.verifier).size == 5


def test_a_proof_file_does_not_prove_another_entry_or_log() -> None:
    with pytest.raises(ProofError):
        PROOF.verify(ENTRIES[2], SIGNER.verifier)
    with pytest.raises(NoteSignatureError):
        PROOF.verify(ENTRIES[3], OTHER.verifier)


def test_no_single_changed_byte_of_a_proof_file_goes_unnoticed() -> None:
    data = PROOF.to_bytes()
    for position in range(len(data)):
        tampered = data[:position] + bytes([data[position] ^ 0x01]) + data[position + 1 :]
        with pytest.raises(LedgerError):
            verify_file(tampered)


def verify_file(data: bytes) -> None:
    proof = InclusionProof.from_bytes(data)
    proof.verify(proof.extra or b"", SIGNER.verifier)


BAD_PROOFS: dict[str, Callable[[bytes], bytes]] = {
    "another version": lambda p: p.replace(b"@v1", b"@v2"),
    "no index": lambda p: p.replace(b"index 3\n", b""),
    "the index twice": lambda p: p.replace(b"index 3\n", b"index 3\nindex 3\n"),
    "a signed index": lambda p: p.replace(b"index 3", b"index +3"),
    "the extra data after the index": lambda p: p.replace(b"extra", b"indes"),
    "64 hashes": lambda p: p.replace(b"index 3\n", b"index 3\n" + (ROOT.encode() + b"\n") * 64),
    "a short hash": lambda p: p.replace(b"index 3\n", b"index 3\nQUJD\n"),
    "no checkpoint": lambda p: p.partition(b"\n\n")[0] + b"\n\n",
    "no empty line": lambda p: p.partition(b"\n\n")[0],
    "megabytes": lambda p: p + b"a" * 1_000_000,
    "bytes that are not UTF-8": lambda p: p.replace(b"index", b"\xffndex"),
}


@pytest.mark.parametrize("case", BAD_PROOFS)
def test_a_malformed_proof_file_is_refused(case: str) -> None:
    with pytest.raises(ProofError):
        InclusionProof.from_bytes(BAD_PROOFS[case](PROOF.to_bytes()))


@vectors.needs_vectors
def test_public_keys_of_other_implementations_read_and_write_alike() -> None:
    notes = vectors.load("signed_note.json")
    for vkey in notes["good_vkeys"] + vectors.load("checkpoint_cosignature.json")["vkeys"]["cosignature_type_0x04"]:
        assert NoteVerifier.from_text(vkey).text == vkey
    for vkey in notes["bad_vkeys"]:
        with pytest.raises(NoteError):
            NoteVerifier.from_text(vkey)


@pytest.mark.parametrize("case", vectors.load("signed_note.json").get("open_cases", []), ids=lambda c: c["desc"])
def test_public_note_vectors(case: Any) -> None:
    data = case["note"].encode() if "note" in case else vectors.unbase64(case["note_b64"])
    verifiers = [NoteVerifier.from_text(vkey) for vkey in case["verifiers"]]
    if case["ok"]:
        assert [verifier.name for verifier in note_open(data, verifiers).verified_by] == case["verified"]
    else:
        with pytest.raises(NoteError):
            note_open(data, verifiers)


@vectors.needs_vectors
def test_the_example_note_of_the_specification_opens() -> None:
    example = vectors.load("signed_note.json")["c2sp_example"]
    verifier = NoteVerifier.from_text(example["vkey"])
    assert note_open(example["note"].encode(), [verifier]).text == "This is an example message.\n"


@vectors.needs_vectors
def test_real_checkpoints_of_other_logs_open() -> None:
    cases = vectors.load("checkpoint_cosignature.json")
    sumdb = cases["sumdb"]
    note = note_open(sumdb["note"].encode(), [NoteVerifier.from_text(sumdb["vkey"])])
    assert Checkpoint.from_text(note.text).origin == sumdb["origin"]
    sigsum = cases["sigsum_checkpoint"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sigsum["ed25519_seed_hex"]))
    signer = NoteSigner("sigsum.org/v1/tree/" + hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest(), key)
    checkpoint = checkpoint_open(sigsum["note"].encode(), signer.verifier)
    assert checkpoint.size == 10
    assert checkpoint_sign(checkpoint, signer) == sigsum["note"].encode()


@vectors.needs_vectors
def test_public_witness_cosignatures() -> None:
    case = vectors.load("checkpoint_cosignature.json")["cosignature_v1"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["cosigner_ed25519_seed_hex"]))
    witness = NoteVerifier(case["cosigner_name"], ED25519_COSIGNATURE, key.public_key().public_bytes_raw())
    for line in case["lines"]:
        data = f"{case['checkpoint_body']}\n{line['line']}\n".encode()
        if line["ok"]:
            assert note_open(data, [witness]).verified_by == (witness,)
        else:
            with pytest.raises(NoteError):
                note_open(data, [witness])


@vectors.needs_vectors
def test_public_checkpoint_parser_vectors() -> None:
    cases = vectors.load("checkpoint_parse.json")
    for case in cases["valid"]:
        with pytest.raises(CheckpointError, match="32 bytes"):
            Checkpoint.from_text(case["text"])
        lines = case["text"].split("\n")
        checkpoint = Checkpoint.from_text("\n".join([*lines[:2], ROOT, *lines[3:]]))
        assert (checkpoint.origin, checkpoint.size) == (case["origin"], case["size"])
        assert "".join(f"{line}\n" for line in checkpoint.extensions) == case["rest"]
    for case in cases["invalid"]:
        with pytest.raises(CheckpointError):
            Checkpoint.from_text(case["text"])


@vectors.needs_vectors
def test_public_proof_file_vectors() -> None:
    cases = vectors.load("tlog_misc.json")
    tree = cases["tree_note"]
    root = leaf_hash(tree["record_utf8"].encode())
    assert Checkpoint("go.sum database tree", tree["size"], root).text == tree["text"]
    for case in cases["tlog_proof"]["marshal"]:
        path = tuple(hashlib.sha256(text.encode()).digest() for text in case["hash_preimages"])
        extra = None if case["extra"] is None else case["extra"].encode()
        proof = InclusionProof(case["index"], path, case["checkpoint"].encode(), extra)
        assert proof.to_bytes() == case["want"].encode()
        assert InclusionProof.from_bytes(case["want"].encode()) == proof
    for text in cases["tlog_proof"]["reject"]:
        with pytest.raises(ProofError):
            InclusionProof.from_bytes(text.encode())


@vectors.needs_vectors
def test_the_public_test_log_is_reproduced() -> None:
    log = vectors.load("tessera_testlog.json")
    verifier = NoteVerifier.from_text(log["vkey"])
    leaves = [leaf_hash(text.encode()) for text in log["leaves_utf8"]]
    for case in log["checkpoints"]:
        size = case["size"]
        expected = Checkpoint(log["origin"], size, tree_root(leaves[:size]))
        assert checkpoint_open(case["checkpoint"].encode(), verifier) == expected
        assert case["checkpoint"].startswith(expected.text + "\n")
        if size:
            assert b"".join(leaves[:size]).hex() == log["partial_tile_level0_hex"][str(size)]


def test_an_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert checkpoint_open(checkpoint_sign(empty, SIGNER), SIGNER.verifier) == empty
