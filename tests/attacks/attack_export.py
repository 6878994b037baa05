"""Attacks on an exported bundle, as an auditor meets them: with a pinned trust file and a checkpoint kept earlier.

What no auditor can notice in an export alone: entries added or changed after the checkpoint he kept, by someone who
holds every key. That takes a newer checkpoint, or a witness.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import sample_bundle as sample
from attack_catalogue import Attack, Finding
from export_victim import LOG, Edit, Export, clean
from sample_bundle import FORGER, KEYS, LINEAGE, NOW, Sample

from modelnotary.attest.decision import decision_sign
from modelnotary.attest.dsse import Envelope, envelope_sign
from modelnotary.ledger.chain_head import CHAIN_HEAD_EVENT, CHAIN_HEAD_EVERY
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_sign
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from modelnotary.ledger.log_keys import ROTATION_EVENT, ROTATION_NOTE, KeyRotation
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.note import note_sign
from modelnotary.ledger.proof import InclusionProof
from modelnotary.ledger.tiles import TILE_WIDTH, bundle_encode
from modelnotary.ledger.tree import inclusion_path, perfect_root, tree_root
from modelnotary.verify.archive import archive_write
from modelnotary.verify.bundle import verify_bundle
from modelnotary.verify.bundle_format import MANIFEST_FILE, MANIFEST_PAYLOAD_TYPE, reports_file
from modelnotary.verify.kept import KeptCheckpoint
from modelnotary.verify.receipts import RECEIPTS_FILE, Receipt, receipts_write
from modelnotary.verify.result import Outcome
from modelnotary.verify.rotations import ROTATIONS_FILE, rotations_write

HAND = "can write the files"
DECISION_KEY = "holds the decision key"
APPLICATION = "has the application's password"
ALL_KEYS = "holds every key of the operator"
IMPOSTOR = "signs everything with keys of his own"
EVIDENCE = f"evidence/{sample.EVIDENCE_ID}.json"
DECISION = f"decisions/{sample.DECISION_ID}.dsse.json"
POLICY = f"policies/pol_{1:032x}-v1.yaml"


class ExportSurface:
    """Bundles as archives.

    Args:
        size: how many entries the log has.
    """

    name = "export"

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def attacks(self) -> tuple[Attack[Export], ...]:
        return ATTACKS

    @contextmanager
    def victim(self) -> Iterator[Export]:
        genuine = Sample(fill=self._size - 6)
        kept_size = self._size * 2 // 3
        root = tree_root(map(leaf_hash, clean(self._size)[0][:kept_size]))
        kept = checkpoint_sign(Checkpoint(LINEAGE, kept_size, root), KEYS.signer(LINEAGE))
        yield Export(genuine, dict(clean(self._size)[1]), kept, kept_size)

    def findings(self, victim: Export) -> list[Finding]:
        with TemporaryDirectory() as folder:
            path, note = Path(folder, "bundle.zip"), Path(folder, "checkpoint")
            archive_write(path, victim.files)
            path.write_bytes(victim.archive_edit(path.read_bytes()))
            note.write_bytes(victim.kept)
            report = verify_bundle(path, KEYS.trust(), kept=KeptCheckpoint.from_file(note), now=NOW)
        return [
            Finding(check.name, check.span, check.detail)
            for check in report.checks
            if check.outcome is not Outcome.PASS
        ]


def edited(index: int) -> Edit:
    return lambda entries: [*entries[:index], entries[index].replace(b"Ada", b"Eve"), *entries[index + 1 :]]


def tile_of(kind: str, index: int, size: int) -> str:
    """The file of the tile an entry is in."""
    tile, width = index // TILE_WIDTH, size % TILE_WIDTH
    partial = f".p/{width}" if tile == size // TILE_WIDTH else ""
    return f"{LOG}/tile/{kind}/{tile:03}{partial}"


def entry(index: int) -> Finding:
    return Finding("lineage entries", (index, index + 1))


def body_flip(export: Export) -> Finding:
    name = tile_of("entries", export.at, export.size)
    before = export.entries()[export.at // TILE_WIDTH * TILE_WIDTH : export.at]
    export.flip(name, len(bundle_encode(before)) + 40)
    return entry(export.at)


def leaf_flip(export: Export) -> Finding:
    export.flip(tile_of("0", export.at, export.size), export.at % TILE_WIDTH * 32)
    return entry(export.at)


def node_flip(export: Export) -> Finding:
    tiles = export.size // TILE_WIDTH
    export.flip(f"{LOG}/tile/1/000.p/{tiles}", 32)
    return Finding("lineage tree", (TILE_WIDTH, 2 * TILE_WIDTH))


def chain_flip(export: Export) -> Finding:
    export.flip(f"{LOG}/chain", 5)
    return Finding("lineage chain")


def note_flip(export: Export) -> Finding:
    export.flip(f"{LOG}/checkpoint", len(export.files[f"{LOG}/checkpoint"]) - 20)
    return Finding("lineage checkpoint")


def note_of_another_size(export: Export) -> Finding:
    export.files[f"{LOG}/checkpoint"] = export.kept
    return Finding("lineage checkpoint")


def delete(export: Export) -> Finding:
    at = export.at
    export.forge(lambda entries: [*entries[:at], *entries[at + 1 :], entries[-1]], "tile/entries")
    return entry(at)


def insert(export: Export) -> Finding:
    at, extra = export.at, sample.event(1, "job.requested", Subject("job", "job_x"), {})
    export.forge(lambda entries: [*entries[:at], extra, *entries[at:-1]], "tile/entries")
    return entry(at)


def swap(export: Export) -> Finding:
    at = export.at
    export.forge(lambda entries: [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]], "tile/entries")
    return entry(at)


def duplicate(export: Export) -> Finding:
    at = export.at
    export.forge(lambda entries: [*entries[: at + 1], entries[at], *entries[at + 1 : -1]], "tile/entries")
    return entry(at + 1)


def truncate(export: Export) -> Finding:
    export.forge(lambda entries: entries[:-5], "tile", "chain")
    return Finding("lineage entries", (export.size // TILE_WIDTH * TILE_WIDTH, export.size))


def tile_removed(export: Export) -> Finding:
    del export.files[tile_of("entries", export.at, export.size)]
    start = export.at // TILE_WIDTH * TILE_WIDTH
    return Finding("lineage entries", (start, start + TILE_WIDTH))


def entry_and_leaf(export: Export) -> Finding:
    export.forge(edited(export.at), "tile/entries", "tile/0")
    start = export.at // TILE_WIDTH * TILE_WIDTH
    return Finding("lineage tree", (start, start + TILE_WIDTH))


def whole_tree(export: Export) -> Finding:
    export.forge(edited(export.at), "tile", "chain")
    return Finding("lineage tree", (0, export.size))


def whole_tree_after_kept(export: Export) -> Finding:
    export.forge(edited(export.kept_size + 1), "tile", "chain")
    return Finding("lineage tree", (export.kept_size, export.size))


def hash_tiles_removed(export: Export) -> Finding:
    export.forge(edited(export.at), "tile/entries")
    export.files = {name: data for name, data in export.files.items() if not name.startswith(f"{LOG}/tile/0")}
    return Finding("lineage tree", (export.at // TILE_WIDTH * TILE_WIDTH, (export.at // TILE_WIDTH + 1) * TILE_WIDTH))


def file_flip(name: str, check: str) -> Callable[[Export], Finding]:
    def act(export: Export) -> Finding:
        export.flip(name, len(export.files[name]) // 2)
        return Finding(check)

    return act


def file_removed(name: str, check: str) -> Callable[[Export], Finding]:
    def act(export: Export) -> Finding:
        del export.files[name]
        return Finding(check)

    return act


def file_added(export: Export) -> Finding:
    export.files["evidence/evd_notes.json"] = b"approved, see attached"
    return Finding("files")


def archive_tail(export: Export) -> Finding:
    export.archive_edit = lambda data: data + b"\x00"
    return Finding("archive")


def archive_header(export: Export) -> Finding:
    export.archive_edit = lambda data: data[:10] + b"\x01" + data[11:]
    return Finding("archive")


def manifest_edit(export: Export) -> Finding:
    envelope = Envelope.from_bytes(export.files[MANIFEST_FILE])
    payload = envelope.payload.replace(b"credit-risk:7", b"credit-risk:8")
    export.files[MANIFEST_FILE] = replace(envelope, payload=payload).to_bytes()
    return Finding("manifest")


def manifest_by_the_log_key(export: Export) -> Finding:
    payload = Envelope.from_bytes(export.files[MANIFEST_FILE]).payload
    export.files[MANIFEST_FILE] = envelope_sign(MANIFEST_PAYLOAD_TYPE, payload, KEYS.lineage).to_bytes()
    return Finding("manifest")


def history_without_the_log_key(export: Export) -> Finding:
    keys = replace(KEYS, lineage=FORGER.lineage)
    export.files = replace(export.sample, keys=keys, edit_entries=edited(export.at)).files()
    return Finding("lineage checkpoint")


def rotation_forged(export: Export) -> Finding:
    keys, index = replace(KEYS, lineage=FORGER.lineage), export.at
    old, new = KEYS.signer(LINEAGE), keys.signer(LINEAGE)
    note = note_sign(KeyRotation(old.verifier, new.verifier, 0).text, [new])
    entry = sample.event(index, ROTATION_EVENT, Subject("log", LINEAGE), {ROTATION_NOTE: note.decode()})
    forged = replace(export.sample, keys=keys, edit_entries=lambda all_: [*all_[:index], entry, *all_[index + 1 :]])
    leaves = [leaf_hash(item) for item in forged.entries()[: index + 1]]
    closing = checkpoint_sign(Checkpoint(LINEAGE, len(leaves), tree_root(leaves)), new)
    path = inclusion_path(index, len(leaves), lambda level, at: perfect_root(leaves[at << level : at + 1 << level]))
    rotations = rotations_write([InclusionProof(index, tuple(path), closing, entry).to_bytes()])
    export.files = replace(forged, edit_files=lambda files: files | {f"{LOG}/{ROTATIONS_FILE}": rotations}).files()
    return Finding("lineage keys")


def evidence_replaced(export: Export) -> Finding:
    export.resign(KEYS.decision, {EVIDENCE: b'{"payload":{"ratio":0.99}}'})
    return Finding("evidence")


def decision_replaced(export: Export) -> Finding:
    forged = decision_sign(replace(sample.decision(sample.DECISION_ID, "passed"), environment="all"), KEYS.decision)
    export.resign(KEYS.decision, {DECISION: forged})
    return Finding("decisions")


def denial_for_approval(export: Export) -> Finding:
    export.resign(KEYS.decision, {DECISION: export.files[f"decisions/{sample.DENIAL_ID}.dsse.json"]})
    return Finding("decisions")


def policy_replaced(export: Export) -> Finding:
    export.resign(KEYS.decision, {POLICY: b"policy: production\nrules: [anything]\n"})
    return Finding("policies")


def reports_replaced(export: Export) -> Finding:
    export.resign(KEYS.decision, {"reports.json": reports_file({sample.REPORT_ID: Digest.of(b"another")})})
    return Finding("reports")


def receipt_redirected(export: Export) -> Finding:
    """A receipt of a place that never saw this log: what was carried there is another history."""
    other = checkpoint_sign(Checkpoint(LINEAGE, export.kept_size, bytes(32)), FORGER.signer(LINEAGE))
    receipts = receipts_write([Receipt("file", "file:///srv/mine", other, b"checkpoint", ())])
    export.resign(KEYS.decision, {f"{LOG}/{RECEIPTS_FILE}": receipts})
    return Finding("lineage anchors")


def chain_told_falsely(export: Export) -> Finding:
    """An entry of the application, which is all that tells the chain: the log's key signs whatever is in the log."""
    last = export.size - 1
    data = {"size": CHAIN_HEAD_EVERY, "chain": bytes(32).hex()}
    told = sample.event(last, CHAIN_HEAD_EVENT, Subject("log", LINEAGE), data, at=NOW)
    export.files = replace(export.sample, edit_entries=lambda entries: [*entries[:-1], told]).files()
    return Finding("lineage chain", (last, last + 1))


def with_all_keys(edit: Edit, fill: int = 0) -> Callable[[Export], Finding]:
    def act(export: Export) -> Finding:
        forged = replace(export.sample, fill=export.sample.fill + fill, edit_entries=edit)
        export.files = forged.files()
        return Finding("kept checkpoint", (0, export.kept_size))

    return act


def history_rewritten(export: Export) -> Finding:
    return with_all_keys(edited(export.at))(export)


def entry_dropped_from_history(export: Export) -> Finding:
    at = export.at
    return with_all_keys(lambda entries: [*entries[:at], *entries[at + 1 :]], fill=1)(export)


def split_view(export: Export) -> Finding:
    """Another history of exactly the size that was shown to this auditor."""
    at, size = export.at, export.kept_size
    return with_all_keys(lambda entries: edited(at)(entries[:size]))(export)


def older_dump(export: Export) -> Finding:
    export.files = replace(export.sample, edit_entries=lambda entries: entries[: export.kept_size - 1]).files()
    return Finding("kept checkpoint")


def impostor(export: Export) -> Finding:
    export.files = replace(export.sample, keys=FORGER, edit_entries=edited(export.at)).files()
    return Finding("manifest")


def trust_redirected(export: Export) -> Finding:
    export.files["trust.json"] = FORGER.trust().to_bytes()
    return Finding("files")


def trust_redirected_and_signed(export: Export) -> Finding:
    export.resign(FORGER.decision, {"trust.json": FORGER.trust().to_bytes()})
    return Finding("manifest")


ATTACKS: tuple[Attack[Export], ...] = (
    Attack("a bit flipped in an entry", HAND, body_flip),
    Attack("a bit flipped in a leaf hash", HAND, leaf_flip),
    Attack("a bit flipped in a hash over 256 entries", HAND, node_flip),
    Attack("a bit flipped in the chain head", HAND, chain_flip),
    Attack("a bit flipped in the checkpoint's signature", HAND, note_flip),
    Attack("an older genuine checkpoint put in its place", HAND, note_of_another_size),
    Attack("an entry deleted", HAND, delete),
    Attack("an entry inserted", HAND, insert),
    Attack("two entries swapped", HAND, swap),
    Attack("an entry repeated", HAND, duplicate),
    Attack("the newest entries cut off", HAND, truncate),
    Attack("256 entries taken out of the middle", HAND, tile_removed),
    Attack("an entry edited and its leaf hash too", HAND, entry_and_leaf),
    Attack("an entry edited and its leaf hashes taken away", HAND, hash_tiles_removed),
    Attack("an entry edited, all hashes and the chain recomputed", HAND, whole_tree),
    Attack("the same, after what the auditor had seen", HAND, whole_tree_after_kept),
    Attack("evidence edited", HAND, file_flip(EVIDENCE, "files")),
    Attack("evidence removed", HAND, file_removed(EVIDENCE, "files")),
    Attack("a decision edited", HAND, file_flip(DECISION, "decisions")),
    Attack("a decision removed", HAND, file_removed(DECISION, "decisions")),
    Attack("a policy edited", HAND, file_flip(POLICY, "policies")),
    Attack("a file added", HAND, file_added),
    Attack("the manifest edited", HAND, manifest_edit),
    Attack("the manifest removed", HAND, file_removed(MANIFEST_FILE, "manifest")),
    Attack("the trust file inside redirected", HAND, trust_redirected),
    Attack("a byte added behind the archive", HAND, archive_tail),
    Attack("a byte changed in a header of the archive", HAND, archive_header),
    Attack("a manifest signed with the log's key", HAND, manifest_by_the_log_key),
    Attack("history rewritten and signed anew but for the log", DECISION_KEY, history_without_the_log_key),
    Attack("the same, with a rotation to a key that the log never named", DECISION_KEY, rotation_forged),
    Attack("evidence replaced, the manifest signed anew", DECISION_KEY, evidence_replaced),
    Attack("a decision replaced, the manifest signed anew", DECISION_KEY, decision_replaced),
    Attack("an approval replaced by a denial", DECISION_KEY, denial_for_approval),
    Attack("a policy replaced, the manifest signed anew", DECISION_KEY, policy_replaced),
    Attack("a report's digest replaced, the manifest signed anew", DECISION_KEY, reports_replaced),
    Attack("an anchor's receipt redirected, the manifest signed anew", DECISION_KEY, receipt_redirected),
    Attack("an entry that tells another chain", APPLICATION, chain_told_falsely),
    Attack("history rewritten and signed anew", ALL_KEYS, history_rewritten),
    Attack("an entry dropped from history, all signed anew", ALL_KEYS, entry_dropped_from_history),
    Attack("another history of the size the auditor saw", ALL_KEYS, split_view),
    Attack("an older dump restored", ALL_KEYS, older_dump),
    Attack("history rewritten and signed with other keys", IMPOSTOR, impostor),
    Attack("the trust file redirected and the manifest signed by it", IMPOSTOR, trust_redirected_and_signed),
)
