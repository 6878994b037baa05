"""Go's transparency log library, which shares no code with us, accepts what we write and refuses what was changed.

What it does not check: the hash chain, cosignatures, and everything in a bundle but the log.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sample_bundle as sample
from sample_bundle import KEYS, LINEAGE, Sample

from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.cosignature import Cosigner
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import note_extend
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.text import base64_text
from modelnotary.ledger.tree import consistency_path, inclusion_path, perfect_root, tree_root
from modelnotary.verify.bundle_folder import LogWriter

GOPATH = Path("/usr/share/gocode")
LIBRARY = GOPATH / "src/golang.org/x/mod/sumdb/tlog"
SOURCE = Path(__file__).parent / "check_log.go"
VKEY = KEYS.signer(LINEAGE).verifier.text
SIZE = 700
# Sizes where the shape of the tree changes; each is proved against each larger one.
SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 699, SIZE)
ENTRIES = Sample(fill=SIZE - 6).entries()
LEAVES = [leaf_hash(entry) for entry in ENTRIES]

type Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Runs the checker. With REQUIRE_OUTSIDE=1 a missing Go is a failure, else a skip."""
    go = shutil.which("go")
    if go is None or not LIBRARY.is_dir():
        reason = "NO GO: nothing outside checks our logs (apt install golang-go golang-golang-x-mod-dev)"
        if os.environ.get("REQUIRE_OUTSIDE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("outside")
    # The library as Debian packages it, and no network.
    environment = {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "cache"), "GOPROXY": "off"}
    program = folder / "check_log"
    subprocess.run([go, "build", "-o", program, SOURCE], env=os.environ | environment, check=True)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, arguments), VKEY], capture_output=True, text=True, check=False)

    return run


def note(size: int) -> bytes:
    return checkpoint_sign(Checkpoint(LINEAGE, size, tree_root(LEAVES[:size])), KEYS.signer(LINEAGE))


def node(level: int, index: int) -> bytes:
    return perfect_root(LEAVES[index << level : (index + 1) << level])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    writer = LogWriter(tmp_path, LINEAGE)
    writer.extend(ENTRIES)
    writer.finish(note(SIZE))
    return tmp_path / "logs/lineage"


@contextmanager
def flipped(path: Path, position: int) -> Iterator[None]:
    """The file with one bit changed, for a while."""
    data = path.read_bytes()
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    yield
    path.write_bytes(data)


def test_go_reads_our_checkpoint_our_tiles_and_every_entry(check: Check, log: Path) -> None:
    found = check("log", log)
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{LINEAGE}: {SIZE} entries\n", "")


def test_go_ignores_a_witness_it_does_not_know(check: Check, log: Path) -> None:
    signature = Cosigner("witness.example/1", sample.key(20)).sign(Checkpoint(LINEAGE, SIZE, tree_root(LEAVES)), at=7)
    (log / "checkpoint").write_bytes(note_extend(note(SIZE), [signature]))
    assert check("log", log).returncode == 0


CHANGES = {
    "the checkpoint's size": ("checkpoint", len(LINEAGE) + 2),
    "the checkpoint's root": ("checkpoint", len(LINEAGE) + 10),
    "the checkpoint's signature": ("checkpoint", -20),
    "a leaf hash in a full tile": ("tile/0/001", 40),
    "a leaf hash in the last tile": ("tile/0/002.p/188", 40),
    "a hash over 256 entries": ("tile/1/000.p/2", 40),
    "an entry": ("tile/entries/001", 300),
    "an entry's length": ("tile/entries/002.p/188", 1),
}


@pytest.mark.parametrize("case", CHANGES)
def test_go_refuses_a_log_with_one_bit_changed(case: str, check: Check, log: Path) -> None:
    name, position = CHANGES[case]
    with flipped(log / name, position):
        found = check("log", log)
    assert found.returncode == 1
    assert found.stderr
    assert check("log", log).returncode == 0


@pytest.mark.parametrize("size", SIZES)
def test_go_accepts_our_inclusion_proofs_and_no_others(size: int, check: Check, tmp_path: Path) -> None:
    file = tmp_path / "entry.tlog-proof"
    for index in {0, size // 3, size - 1}:
        path = inclusion_path(index, size, node)
        file.write_bytes(InclusionProof(index, tuple(path), note(size), ENTRIES[index]).to_bytes())
        found = check("inclusion", file)
        assert found.returncode == 0, found.stderr
        wrong = InclusionProof(index, tuple(path), note(size), ENTRIES[(index + 1) % SIZE]).to_bytes()
        for proof in (wrong, InclusionProof(index, (*path, bytes(32)), note(size), ENTRIES[index]).to_bytes()):
            file.write_bytes(proof)
            assert check("inclusion", file).returncode == 1


@pytest.mark.parametrize("old", SIZES)
def test_go_accepts_our_consistency_proofs_and_no_others(old: int, check: Check, tmp_path: Path) -> None:
    older, newer, proof = tmp_path / "older", tmp_path / "newer", tmp_path / "proof"
    for new in (size for size in SIZES if size >= old):
        path = consistency_path(old, new, node)
        older.write_bytes(note(old))
        newer.write_bytes(note(new))
        proof.write_text("\n".join(map(base64_text, path)), encoding="ascii")
        found = check("consistency", older, newer, proof)
        assert found.returncode == 0, f"{old} to {new}: {found.stderr}"
        proof.write_text("\n".join(map(base64_text, [*path, bytes(32)])), encoding="ascii")
        assert check("consistency", older, newer, proof).returncode == 1
        rewritten = Checkpoint(LINEAGE, old, tree_root([bytes(32), *LEAVES[1:old]]))
        older.write_bytes(checkpoint_sign(rewritten, KEYS.signer(LINEAGE)))
        proof.write_text("\n".join(map(base64_text, path)), encoding="ascii")
        assert check("consistency", older, newer, proof).returncode == 1
