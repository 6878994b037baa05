"""What is nearly right is refused: one spelling for each value, in every format that crosses a border.

Each row changes one thing of genuine input of a parser. Beyond the formats' own rules: the spelling of numbers and
base64, lengths of hashes, line ends and marks, limits before any arithmetic.
"""

from collections.abc import Callable
from itertools import product

import pytest
from genuine_input import HASHES, LOG_KEY, NOTE, SALT, SKEY
from parsers import PARSERS
from sample_bundle import LINEAGE

from modelnotary.ledger.note import note_split
from modelnotary.ledger.text import base64_text

type Change = Callable[[bytes], bytes]

LINE = note_split(NOTE)[1][0].line.encode()


def swap(old: str | bytes, new: str | bytes) -> Change:
    """Replace what stands there exactly once."""
    before, after = (part.encode() if isinstance(part, str) else part for part in (old, new))

    def change(data: bytes) -> bytes:
        assert data.count(before) == 1, before
        return data.replace(before, after)

    return change


def stray_bits(encoded: str) -> str:
    """The same bytes in a base64 with unused bits that are not zero, as lenient readers take it."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert encoded.endswith("=")
    body = encoded.rstrip("=")
    return body[:-1] + letters[letters.index(body[-1]) + 1] + "=" * (len(encoded) - len(body))


# What any text of lines or of canonical JSON may not be.
OUTER: dict[str, Change] = {
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "line ends of another system": lambda data: data.replace(b"\n", b"\r\n") if b"\n" in data else data + b"\r\n",
    "a carriage return at the end": lambda data: data + b"\r",
    "an empty line at the end": lambda data: data + b"\n\n",
    "a space at the end": lambda data: data + b" ",
    "a zero byte at the end": lambda data: data + b"\x00",
    "bytes that are not UTF-8": lambda data: data + b"\xff",
    "half a surrogate": lambda data: data + b"\xed\xa0\x80",
    "the last byte gone": lambda data: data[:-1],
    "itself twice": lambda data: data * 2,
    "nothing": lambda _data: b"",
    "sixteen megabytes": lambda data: data + b" " * 16_000_000,
}
LINES_AND_JSON = (
    "attest.dsse.Envelope.from_bytes",
    "attest.statement.GateDecision.from_bytes",
    "attest.statement.Statement.from_bytes",
    "ledger.add_checkpoint.AddCheckpoint.from_bytes",
    "ledger.add_checkpoint.signatures_parse",
    "ledger.add_checkpoint.size_parse",
    "ledger.canonical.parse_canonical",
    "ledger.chain_head.ChainHead.from_event",
    "ledger.checkpoint.Checkpoint.from_text",
    "ledger.digest.Digest.from_text",
    "ledger.disclosure.Disclosure.from_bytes",
    "ledger.event.Event.from_bytes",
    "ledger.incarnation.Incarnation.from_event",
    "ledger.log_keys.KeyRotation.from_note",
    "ledger.note.NoteSignature.from_line",
    "ledger.note.NoteSigner.from_text",
    "ledger.note.NoteVerifier.from_text",
    "ledger.note.note_open",
    "ledger.note.note_split",
    "ledger.text.base64_bytes",
    "ledger.text.base64url_bytes",
    "ledger.text.decimal",
    "ledger.tiles.Tile.from_path",
    "times.parse_time",
    "verify.bundle_format.BundleManifest.from_bytes",
    "verify.bundle_format.reports_parse",
    "verify.kept.KeptCheckpoint.from_file",
    "verify.log_archive_format.ArchiveManifest.from_bytes",
    "verify.pruning.PrunedPrefix.from_bytes",
    "verify.receipts.receipts_parse",
    "verify.report_twin.twin_parse",
)
# Where what is left or added makes another value of the same kind: a shorter number, a second line of an answer, a
# checkpoint with extensions, a note whose text holds another note.
ALLOWED = {
    ("ledger.add_checkpoint.signatures_parse", "itself twice"),
    ("ledger.checkpoint.Checkpoint.from_text", "itself twice"),
    ("ledger.note.note_split", "itself twice"),
    ("ledger.text.base64_bytes", "itself twice"),
    ("ledger.text.base64_bytes", "nothing"),
    ("ledger.text.base64url_bytes", "itself twice"),
    ("ledger.text.base64url_bytes", "nothing"),
    ("ledger.text.base64url_bytes", "the last byte gone"),
    ("ledger.text.decimal", "the last byte gone"),
    ("ledger.tiles.Tile.from_path", "the last byte gone"),
}


@pytest.mark.parametrize(("name", "change"), [row for row in product(LINES_AND_JSON, OUTER) if row not in ALLOWED])
def test_what_is_around_a_value_is_refused(name: str, change: str) -> None:
    parser = PARSERS[name]
    for seed in parser.seeds():
        with pytest.raises(parser.error):
            parser.read(OUTER[change](seed))


def numbers(at: str, number: int) -> dict[str, Change]:
    """Other spellings of the number in a text that says `{}` where it stands."""
    spellings = {
        "a plus sign": f"+{number}",
        "a minus sign": f"-{number}",
        "a leading zero": f"0{number}",
        "an underscore": f"{number}_0",
        "a space before it": f" {number}",
        "digits of another script": "\N{ARABIC-INDIC DIGIT THREE}",
        "a fraction": f"{number}.0",
        "an exponent": f"{number}e0",
        "hexadecimal digits": hex(number),
        "more than 63 bits": str(2**63),
        "five thousand digits": "9" * 5000,
        "nothing": "",
    }
    return {f"a number with {what}": swap(at.format(number), at.format(other)) for what, other in spellings.items()}


def encodings(encoded: str) -> dict[str, Change]:
    """Other spellings of some base64."""
    padding: dict[str, Callable[[str], str]] = {
        "base64 with stray bits": stray_bits,
        "base64 without padding": lambda text: text.rstrip("="),
    }
    any_base64: dict[str, Callable[[str], str]] = {
        "base64 with more padding": lambda text: text + "=",
        "base64 of a URL": lambda text: "-_" + text[2:],
        "base64 with a space": lambda text: text[:4] + " " + text[4:],
        "base64 with a percent sign": lambda text: text[:4] + "%" + text[4:],
    }
    spellings = any_base64 | (padding if encoded.endswith("=") else {})
    return {what: swap(encoded, spell(encoded)) for what, spell in spellings.items()}


def hashes(encoded: str) -> dict[str, Change]:
    """What is no hash of 32 bytes."""
    return encodings(encoded) | {
        "a hash of 31 bytes": swap(encoded, base64_text(bytes(31))),
        "a hash of 33 bytes": swap(encoded, base64_text(bytes(33))),
        "a hash of none": swap(encoded, ""),
    }


def json_twins(member: str) -> dict[str, Change]:
    """What other readers of JSON take for the same, or for something."""
    return {
        "a member twice": swap(f'"{member}":', f'"{member}":null,"{member}":'),
        "a member it does not have": lambda data: data[:-1] + b',"zz":1}',
        "a space between members": swap(f'"{member}":', f'"{member}": '),
        "a letter escaped without need": swap(f'"{member}":', f'"\\u{ord(member[0]):04x}{member[1:]}":'),
        "another letter case": swap(f'"{member}":', f'"{member.upper()}":'),
    }


ROOT = NOTE.split(b"\n")[2].decode()
SIZE = int(NOTE.split(b"\n")[1])
SIGNATURE = LINE.rpartition(b" ")[2].decode()
KEY = LOG_KEY.text.rpartition("+")[2]
MUST_REJECT: dict[str, dict[str, Change]] = {
    "ledger.note.note_open": {
        **{f"a signature in {what}": change for what, change in encodings(SIGNATURE).items()},
        "no empty line": swap("\n\n", "\n"),
        "a tab in the text": swap(f"\n{SIZE}\n", f"\n{SIZE}\t\n"),
        "a delete of a line": swap(f"\n{SIZE}\n", "\n"),
        "another dash": swap("\N{EM DASH}", "\N{EN DASH}"),
        "a wide space": swap(f"{LINEAGE} ", f"{LINEAGE}\N{NO-BREAK SPACE} "),
        "another known signature that does not hold": lambda data: data + LINE[:-8] + b"AAAAAA==\n",
        "a hundred and one signatures": lambda data: data + (LINE + b"\n") * 100,
    },
    "ledger.checkpoint.Checkpoint.from_text": {
        **numbers("\n{}\n", SIZE),
        **hashes(ROOT),
        "an origin that is empty": swap(f"{LINEAGE}\n", "\n"),
        "an extension that is empty": lambda data: data + b"\nmore\n",
    },
    "ledger.note.NoteVerifier.from_text": {
        **encodings(KEY),
        "another key id": swap(f"+{LOG_KEY.key_id.hex()}+", "+00000000+"),
        "a key id in upper case": swap(f"+{LOG_KEY.key_id.hex()}+", f"+{LOG_KEY.key_id.hex().upper()}+"),
        "a key id of three bytes": swap(f"+{LOG_KEY.key_id.hex()}+", f"+{LOG_KEY.key_id.hex()[:6]}+"),
        "a name with a plus": swap("notary", "not+ary"),
        "a name with a space": swap("notary", "not ary"),
        "no name": swap(LINEAGE, ""),
        "a type that nobody has": swap(f"+{KEY}", f"+/{KEY[1:]}"),
    },
    "ledger.note.NoteSigner.from_text": {
        "another key's id": swap(f"+{LOG_KEY.key_id.hex()}+", "+00000000+"),
        "a public key": lambda _data: LOG_KEY.text.encode(),
        "a seed of 31 bytes": lambda data: data[:-4],
        **{f"a seed in {what}": change for what, change in encodings(SKEY.rpartition(b"+")[2].decode()).items()},
    },
    "ledger.proof.InclusionProof.from_bytes": {
        **numbers("index {}\n", 3),
        **encodings(base64_text(HASHES[1])),
        "a hash of 31 bytes": swap(base64_text(HASHES[1]), base64_text(bytes(31))),
        "64 hashes": swap("index 3\n", "index 3\n" + (base64_text(bytes(32)) + "\n") * 64),
        "another version": swap("@v1", "@v2"),
        "the index after the hashes": lambda data: data.replace(b"index 3\n", b"", 1).replace(
            b"\n\n", b"\nindex 3\n\n", 1
        ),
        "no checkpoint": lambda data: data.partition(b"\n\n")[0] + b"\n\n",
        "a carriage return": swap("index 3\n", "index 3\r\n"),
    },
    "ledger.add_checkpoint.AddCheckpoint.from_bytes": {
        **numbers("old {}\n", 3),
        **hashes(base64_text(HASHES[0])),
        "64 hashes": swap("old 3\n", "old 3\n" + (base64_text(bytes(32)) + "\n") * 64),
        "no checkpoint": lambda data: data.partition(b"\n\n")[0] + b"\n\n",
        "a carriage return": swap("old 3\n", "old 3\r\n"),
    },
    "ledger.add_checkpoint.size_parse": numbers("{}\n", 20_852_014),
    "ledger.witness_policy.WitnessPolicy.from_bytes": {
        **{what: change for what, change in numbers("group h {} a g", 2).items() if "space" not in what},
        "a threshold above the members": swap("group h 2", "group h 3"),
        "a group within itself": swap("group h 2 a g", "group h 2 a h"),
        "a name used before it is defined": swap("group g any a", "group g any h"),
        "a key twice": lambda data: data + b"witness b " + data.partition(b"witness a ")[2].partition(b"\n")[0] + b"\n",
        "a name twice": swap("group g any a\n", "group g any a\ngroup g any a\n"),
        "two quorums": swap("quorum h\n", "quorum h\nquorum g\n"),
        "no quorum": swap("quorum h\n", ""),
        "a quorum of nobody": swap("quorum h\n", "quorum z\n"),
        "a word too many": swap("quorum h\n", "quorum h g\n"),
        "an unknown word": swap("quorum h\n", "quorum h\nallow all\n"),
        "a carriage return": swap("quorum h\n", "quorum h\r\n"),
        "no newline at the end": lambda data: data[:-1],
    },
    "ledger.tiles.Tile.from_path": {
        "a level with a zero": swap("tile/0/", "tile/00/"),
        "a level beyond all trees": swap("tile/0/", "tile/64/"),
        "a level with a sign": swap("tile/0/", "tile/+0/"),
        "a part without its x": swap("x234", "234"),
        "a part of two digits": swap("x234", "x34"),
        "a zero part in front": swap("x001/", "x000/x001/"),
        "an index beyond 63 bits": swap("x001/", "x999/" * 9),
        "a width of none": swap(".p/12", ".p/0"),
        "a width of a full tile": swap(".p/12", ".p/256"),
        "a width with a zero": swap(".p/12", ".p/012"),
        "a path that leads out": swap("tile/", "tile/../"),
        "an absolute path": lambda data: b"/" + data,
        "another system's path": lambda data: data.replace(b"/", b"\\"),
    },
    "ledger.tiles.bundle_decode": {
        "an entry fewer": lambda data: data[5:],
        "an entry more": lambda data: data + b"\x00\x00",
        "half a length": lambda data: data + b"\x00",
        "a length beyond the end": lambda data: data[:-7] + b"\xff\xff" + data[-5:],
    },
    "ledger.event.Event.from_bytes": {
        **json_twins("data"),
        "another version": swap('"v":1', '"v":2'),
        "a version that is true": swap('"v":1', '"v":true'),
        "a version with a fraction": swap('"v":1', '"v":1.0'),
        "a time without fractions": lambda data: data.replace(b".000000Z", b"Z", 1),
        "a time with an offset": lambda data: data.replace(b".000000Z", b".000000+00:00", 1),
        "a number that is none": swap('"number":7', '"number":NaN'),
        "a number without end": swap('"number":7', '"number":Infinity'),
        "a number no double holds": swap('"number":7', '"number":1e400'),
        "minus zero": swap('"number":7', '"number":-0'),
    },
    "ledger.disclosure.Disclosure.from_bytes": {
        **json_twins("openings"),
        **hashes(base64_text(SALT)),
        "another version": swap("modelnotary-disclosure/v1", "modelnotary-disclosure/v2"),
    },
    "ledger.log_keys.KeyRotation.from_note": {
        **numbers("\n{}\n\n", 7),
        "another version": swap("key-rotation/v1", "key-rotation/v2"),
        "one of the two signatures": lambda data: data[: data.rindex(b"\xe2\x80\x94")],
    },
    "ledger.chain_head.ChainHead.from_event": {
        "a size between the multiples": swap("20000", "20001"),
        "a size of nothing": swap("20000", "0"),
        "a size below nothing": swap("20000", "-20000"),
        "a size that is true": swap("20000", "true"),
        "a size as text": swap("20000", '"20000"'),
        "a link of 31 bytes": swap(SALT.hex(), SALT.hex()[2:]),
        "a link in upper case": swap(SALT.hex(), SALT.hex().upper()),
        "a link with a space": swap(SALT.hex(), f"{SALT.hex()[:2]} {SALT.hex()[2:]}"),
        "a member it does not have": lambda data: data[:-1] + b',"zz":1}',
    },
    "verify.receipts.receipts_parse": {
        "another version": swap("modelnotary-receipts/v1", "modelnotary-receipts/v2"),
        "a member it does not have": lambda data: data[:-1] + b',"zz":1}',
        "a space between members": lambda data: data.replace(b'"receipts":', b'"receipts": '),
    },
    "verify.log_archive_format.ArchiveManifest.from_bytes": {
        **json_twins("files"),
        "a start within a tile": swap('"start":256', '"start":255'),
        "a start that is true": swap('"start":256', '"start":true'),
        "an end before the start": swap('"end":512', '"end":0'),
        "a stretch without end": swap('"end":512', f'"end":{2**53 - 256}'),
        "a hash in upper case": swap(HASHES[1].hex(), HASHES[1].hex().upper()),
        "a hash of 31 bytes": swap(HASHES[1].hex(), HASHES[1].hex()[:-2]),
        "a path that leads out": swap('"path":"checkpoint"', '"path":"../checkpoint"'),
        "an absolute path": swap('"path":"checkpoint"', '"path":"/checkpoint"'),
        "files in another order": swap('"path":"checkpoint"', '"path":"zz"'),
        "a size below nothing": lambda data: data.replace(b'"size":7', b'"size":-7', 1),
        "a size that is true": lambda data: data.replace(b'"size":7', b'"size":true', 1),
    },
    "verify.pruning.PrunedPrefix.from_bytes": {
        **json_twins("min_index"),
        "an index within a tile": swap('"min_index":256', '"min_index":255'),
        "nothing that is gone": swap('"min_index":256', '"min_index":0'),
        "an index that is true": swap('"min_index":256', '"min_index":true'),
        "a hash in upper case": swap(HASHES[1].hex(), HASHES[1].hex().upper()),
    },
    "verify.bundle_format.BundleManifest.from_bytes": {
        **json_twins("files"),
        "a time with an offset": lambda data: data.replace(b".000000Z", b".000000+00:00", 1),
        "a digest in upper case": lambda data: data.replace(b"sha256:", b"SHA256:", 1),
    },
    "attest.dsse.Envelope.from_bytes": {
        **json_twins("payloadType"),
        "a payload that is no base64": swap('"payload":"', '"payload":"%'),
    },
}


def cases() -> list[tuple[str, str]]:
    return [(name, what) for name, changes in MUST_REJECT.items() for what in changes]


@pytest.mark.parametrize(("name", "what"), cases())
def test_what_is_nearly_right_is_refused(name: str, what: str) -> None:
    parser = PARSERS[name]
    genuine = parser.seeds()[-1 if name == "verify.receipts.receipts_parse" else 0]
    parser.read(genuine)
    changed = MUST_REJECT[name][what](genuine)
    assert changed != genuine
    with pytest.raises(parser.error):
        parser.read(changed)
