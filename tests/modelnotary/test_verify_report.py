"""A signed report verifies offline, and no byte of it can be changed without the failing check being named."""

import io
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pikepdf
import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from report_samples import failing, judge, sample_report

from modelnotary.ledger.digest import Digest
from modelnotary.verify.errors import InputError
from modelnotary.verify.report import report_identity, verify_report
from modelnotary.verify.report_signature import container_find
from modelnotary.verify.result import ExitCode

SEED = 20261121


def test_a_genuine_report_verifies() -> None:
    report = judge(sample_report().signed)
    assert report.exit_code is ExitCode.VERIFIED, report
    assert [check.name for check in report.checks] == [
        "file",
        "signature container",
        "signature",
        "signer",
        "document",
        "attached data",
        "decisions",
        "checkpoints",
        "ledger proofs",
        "citations",
    ]


def test_a_report_tells_its_id_and_digest(tmp_path: Path) -> None:
    sample = sample_report()
    path = tmp_path / "report.pdf"
    path.write_bytes(sample.signed)
    assert report_identity(path) == (sample.content.report_id, Digest.of(sample.signed).text)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n%%EOF\n", b"PK\x03\x04"])
def test_what_is_no_report_has_no_identity(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is not a report"):
        report_identity(path)


def test_a_missing_file_is_an_error_of_the_request(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        verify_report(tmp_path / "none.pdf", sample_report().trust)


# Changes to the bytes of the file.


def flipped(data: bytes, index: int, bits: int = 1) -> bytes:
    return data[:index] + bytes([data[index] ^ bits]) + data[index + 1 :]


def stream_at(data: bytes, marker: bytes) -> int:
    """Some byte inside the compressed stream of the object that `marker` stands in."""
    return data.index(b"stream\n", data.index(marker)) + 40


def incremental(change: Callable[[IncrementalPdfFileWriter], None]) -> Callable[[bytes], bytes]:
    """The attack of adding a revision: the signed bytes stay as they are."""

    def attack(data: bytes) -> bytes:
        writer = IncrementalPdfFileWriter(io.BytesIO(data))
        change(writer)
        buffer = io.BytesIO()
        writer.write(buffer)  # type: ignore[no-untyped-call]  # pyHanko leaves it untyped
        return buffer.getvalue()

    return attack


def change_page(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][1]
    added = writer.add_object(generic.StreamObject(stream_data=b"q 1 0 0 rg 0 0 300 300 re f Q"))
    page["/Contents"] = generic.ArrayObject([page.raw_get("/Contents"), added])
    writer.update_container(page)


def add_annotation(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][1]
    note = generic.DictionaryObject(  # type: ignore[no-untyped-call]  # pyHanko leaves it untyped
        {
            generic.pdf_name("/Type"): generic.pdf_name("/Annot"),
            generic.pdf_name("/Subtype"): generic.pdf_name("/FreeText"),
            generic.pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (50, 50, 300, 300))),
            generic.pdf_name("/Contents"): generic.pdf_string("No findings"),
        }
    )
    page["/Annots"] = generic.ArrayObject([writer.add_object(note)])
    writer.update_container(page)


def replace_attachment(writer: IncrementalPdfFileWriter) -> None:
    embedded = writer.root["/AF"][0]["/EF"]
    embedded["/F"] = writer.add_object(generic.StreamObject(stream_data=b"{}"))
    writer.update_container(embedded)


def change_title(writer: IncrementalPdfFileWriter) -> None:
    information = writer.trailer["/Info"]
    information["/Title"] = generic.pdf_string("Clean bill of health")
    writer.update_container(information)


def rewritten(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.save(buffer)
    return buffer.getvalue()


def with_container(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """The attack on the signature's own string, the only bytes the signature cannot cover."""

    def attack(data: bytes) -> bytes:
        container = container_find(data)
        string = change(data[container.start : container.end])
        assert len(string) == container.end - container.start
        return data[: container.start] + string + data[container.end :]

    return attack


TAMPERED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a bit of a page flipped": (lambda d: flipped(d, stream_at(d, b"/Type /XObject")), "signature"),
    "a bit of the first stream flipped": (lambda d: flipped(d, stream_at(d, b"%PDF")), "signature"),
    "a bit of the attachment flipped": (lambda d: flipped(d, stream_at(d, b"/EmbeddedFile")), "signature"),
    "a bit of the time of signing flipped": (lambda d: flipped(d, d.index(b"/M (") + 8), "signature"),
    "a bit of the reason flipped": (lambda d: flipped(d, d.index(b"/Reason (") + 12), "signature"),
    "the version in the header": (lambda d: d.replace(b"%PDF-1.7", b"%PDF-1.6", 1), "signature"),
    "the permission to change": (lambda d: d.replace(b"/P 1\n", b"/P 3\n"), "signature"),
    "a digit of the covered range": (
        lambda d: re.sub(rb"(/ByteRange \[0 \d+ \d+ )(\d+)", lambda m: m[1] + b"%d" % (int(m[2]) - 1), d),
        "signature container",
    ),
    "a range that leaves out more": (
        lambda d: re.sub(
            rb"/ByteRange \[0 (\d+) (\d+) (\d+)\]",
            lambda m: b"/ByteRange [0 %d %d %d]" % (int(m[1]), int(m[2]) + 10, int(m[3]) - 10),
            d,
        ),
        "signature container",
    ),
    "a digit of the signature in lower case": (
        with_container(lambda s: re.sub(rb"[A-F]", lambda m: m[0].lower(), s, count=1)),
        "signature container",
    ),
    "a digit in the space after the signature": (
        with_container(lambda s: s[:-9] + b"1" + s[-8:]),
        "signature container",
    ),
    "the brackets of the signature": (with_container(lambda s: b"(" + s[1:-1] + b")"), "signature container"),
    "blanks in the signature": (with_container(lambda s: s[:-5] + b"    >"), "signature container"),
    "no signature left": (with_container(lambda s: b"<" + b"0" * (len(s) - 2) + b">"), "signature container"),
    "a letter of the certificate": (
        with_container(lambda s: s.replace(b"Harbor".hex().upper().encode(), b"Harbot".hex().upper().encode(), 1)),
        "signature container",
    ),
    "bytes added at the end": (lambda d: d + b"% added later\n%%EOF\n", "signature container"),
    "garbage added at the end": (lambda d: d + b"\0", "file"),
    "the last byte cut off": (lambda d: d[:-1], "file"),
    "bytes added before the beginning": (lambda d: b"\n" + d, "file"),
    "the signature cut off": (lambda d: d[: len(sample_report().unsigned)], "signature container"),
    "a second byte range": (lambda d: d.replace(b"%%EOF\n", b"%/ByteRange\n%%EOF\n", 1), "signature container"),
    "a revision that changes a page": (incremental(change_page), "signature container"),
    "a revision that adds a note": (incremental(add_annotation), "signature container"),
    "a revision that replaces the attachment": (incremental(replace_attachment), "signature container"),
    "a revision that changes the title": (incremental(change_title), "signature container"),
    "written anew by another program": (rewritten, "signature container"),
    "an empty file": (lambda _: b"", "file"),
    "no PDF at all": (lambda _: b"%PDF-1.7\n" + bytes(1000) + b"%%EOF\n", "signature container"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_changed_file_fails_in_a_named_check(case: str) -> None:
    attack, check = TAMPERED[case]
    tampered = attack(sample_report().signed)
    assert tampered != sample_report().signed
    report = judge(tampered)
    assert report.exit_code is ExitCode.TAMPERED
    assert failing(report) == check, report.checks[-1]


@cache
def sweep() -> list[int]:
    """Positions spread over the file, and closely over the signature's string and what surrounds it."""
    data = sample_report().signed
    container = container_find(data)
    chance = random.Random(SEED)
    used = 2 * len(container.der)
    return [
        *chance.sample(range(len(data)), 150),
        *range(container.start - 8, container.start + 40),
        *chance.sample(range(container.start, container.start + used), 300),
        *chance.sample(range(container.start + used, container.end), 40),
        *range(container.end - 4, container.end + 60),
        *range(len(data) - 30, len(data)),
    ]


def test_any_single_byte_changed_anywhere_is_noticed() -> None:
    data = sample_report().signed
    chance = random.Random(SEED)
    survivors = [
        (index, bits)
        for index in sweep()
        if judge(flipped(data, index, bits := chance.randrange(1, 256))).exit_code is not ExitCode.TAMPERED
    ]
    assert not survivors
    assert len(sweep()) >= 400


@pytest.mark.parametrize("length", [10, 300, 5000])
def test_random_bytes_in_the_place_of_the_signature_are_a_finding(length: int) -> None:
    chance = random.Random(SEED + length)

    def spoil(string: bytes) -> bytes:
        noise = chance.randbytes(min(length, len(string) // 2 - 1)).hex().upper().encode()
        return b"<" + noise + string[1 + len(noise) :]

    assert failing(judge(with_container(spoil)(sample_report().signed))) == "signature container"


def test_the_present_is_the_moment_when_none_is_given(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(sample_report().signed)
    now = datetime.now(UTC)
    assert (
        verify_report(path, sample_report().trust).checks == verify_report(path, sample_report().trust, now=now).checks
    )
