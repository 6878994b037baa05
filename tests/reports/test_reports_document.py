"""The report as a reader and an archive see it: pages, fonts, metadata, attachment, and nothing of its own making."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pikepdf
import pypdf
import pytest
from report_samples import sample_report

from reports.content import Group, Importance, Particular, ReportContent
from reports.document import report_build
from reports.errors import ContentError
from reports.twin import content_to_json

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def content() -> ReportContent:
    return sample_report().content


@pytest.fixture(scope="module")
def report() -> Iterator[pikepdf.Pdf]:
    with pikepdf.open(io.BytesIO(sample_report().signed)) as pdf:
        yield pdf


def printed(pdf: bytes) -> str:
    """All text on the pages, white space made even."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def fonts(pdf: pikepdf.Pdf) -> list[pikepdf.Object]:
    return [
        item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and item.get("/Type") == pikepdf.Name.Font
    ]


def test_every_font_is_embedded_and_none_is_a_default(report: pikepdf.Pdf) -> None:
    found = fonts(report)
    names = {str(font.BaseFont).partition("+")[2] for font in found}
    assert names == {"SourceSansPro-Regular", "SourceSansPro-Semibold", "SourceSansPro-Light", "IBMPlexMono-Regular"}
    assert all("/FontFile2" in font.FontDescriptor for font in found)


def test_the_file_says_of_itself_what_an_archive_asks(report: pikepdf.Pdf, content: ReportContent) -> None:
    xmp = report.open_metadata()
    assert (xmp["pdfaid:part"], xmp["pdfaid:conformance"]) == ("3", "B")
    assert xmp["dc:title"] == str(report.docinfo["/Title"])
    assert xmp["dc:identifier"] == content.report_id
    assert xmp["pdf:Producer"] == str(report.docinfo["/Producer"]) == "Model Notary"
    assert xmp["xmp:ModifyDate"] == "2026-11-21T10:42:07Z"
    assert str(report.docinfo["/ModDate"]) == "D:20261121104207Z"
    (intent,) = report.Root.OutputIntents
    assert intent.DestOutputProfile.N == 3
    assert intent.DestOutputProfile.read_bytes()[36:40] == b"acsp"
    assert str(report.Root.Lang) == "en"
    assert report.Root.ViewerPreferences.DisplayDocTitle
    assert "/Encrypt" not in report.trailer
    assert not report.check_pdf_syntax()


def test_what_is_on_a_page_is_also_on_paper(report: pikepdf.Pdf) -> None:
    annotations = [item for page in report.pages for item in page.get("/Annots", [])]
    assert {str(item.Subtype) for item in annotations} == {"/Link", "/Widget"}
    assert all(int(item.F) & 0b111_111 == 0b000_100 for item in annotations)


def test_the_facts_are_attached_as_data_of_the_report(report: pikepdf.Pdf, content: ReportContent) -> None:
    (associated,) = report.Root.AF
    assert associated.AFRelationship == pikepdf.Name.Data
    assert associated.EF.F.Subtype == pikepdf.Name("/application/json")
    assert associated.EF.F.read_bytes() == content_to_json(content)
    assert list(report.attachments) == ["report.json"]


def test_bookmarks_name_the_numbered_sections_and_the_contents_their_pages(content: ReportContent) -> None:
    reader = pypdf.PdfReader(io.BytesIO(sample_report().signed))
    marks = {}
    for mark in reader.outline:
        assert isinstance(mark, pypdf.generic.Destination)
        marks[str(mark.title)] = reader.get_destination_page_number(mark)
    assert list(marks) == [
        "1 Summary",
        "2 Lineage",
        "3 Performance",
        "4 Explanation",
        "5 Fairness by race",
        "6 Gate decision",
        "7 Approvals",
        "8 Access to records",
        "9 Ledger proofs",
        "10 Limitations",
        "11 Signature",
    ]
    for title, page in marks.items():
        assert page is not None
        number, _, words = title.partition(" ")
        assert f"{number} {words}" in " ".join(reader.pages[page].extract_text().split())
        assert f"{words} {page + 1}" in " ".join(reader.pages[1].extract_text().split())


def test_every_page_says_which_report_it_belongs_to_and_its_number(content: ReportContent) -> None:
    pages = pypdf.PdfReader(io.BytesIO(sample_report().signed)).pages
    for number, page in enumerate(pages, start=1):
        words = " ".join(page.extract_text().split())
        assert f"Page {number} of {len(pages)}" in words
        assert content.report_id in words


def test_the_facts_are_printed(content: ReportContent) -> None:
    words = printed(sample_report().signed)
    assert content.cover.digest in words
    assert content.decisions[0].source.digest is not None
    for expected in (
        content.summary.answer,
        "Dr. Ingrid Sørensen-Vũ",
        content.approvals[0].statement_digest,
        content.decisions[0].source.digest,
        "90.6 % 87.3 to 93.1",
        "black (79)",
        "too few people for an estimate",
        "lowest 77.2 % (black, n = 79)",
        "0.612",
        "probability of unemployment in the applicant's industry",
        "9 of 10",
        "≥ 0.800",
    ):
        assert expected in words, expected


def test_the_same_content_gives_the_same_bytes_in_any_process(content: ReportContent, tmp_path: Path) -> None:
    (tmp_path / "twin.json").write_bytes(content_to_json(content))
    script = (
        "import sys, pathlib; from reports.document import report_build; from reports.twin import content_from_json; "
        "data = pathlib.Path(sys.argv[1]).read_bytes(); "
        "sys.stdout.buffer.write(report_build(content_from_json(data)))"
    )
    built = [
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "twin.json")],
            cwd=CHECKOUT,
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "Asia/Kathmandu"), ("77", "America/St_Johns"))
    ]
    assert built[0] == built[1] == sample_report().unsigned


def test_other_content_gives_other_bytes(content: ReportContent) -> None:
    assert report_build(replace(content, limitations=("None known.",))) != sample_report().unsigned


MARKUP = ("<img src='/etc/hostname' width='9'/>", "<b>oops", "<admin>", "&amp; &#65; {x}", "<a href='file:///'>x</a>")


def decided(content: ReportContent, message: str) -> ReportContent:
    decision = content.decisions[0]
    return replace(content, decisions=(replace(decision, rules=(replace(decision.rules[0], message=message),)),))


def everywhere(content: ReportContent, value: str) -> ReportContent:
    """The content with this value in every kind of place: paragraph, table, chart, page head, title."""
    return replace(
        content,
        cover=replace(content.cover, organization=value, title=value, model=value, purpose=value),
        summary=replace(content.summary, answer=value),
        lineage=(replace(content.lineage[0], name=value),),
        bias=(replace(content.bias[0], groups=(Group(value, 50, 0.5, 0.4, 0.6, 0.5, 0.5),)),),
        decisions=decided(content, value).decisions,
        approvals=(replace(content.approvals[0], reason=value, name=value),),
        limitations=(value,),
    )


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_in_a_value_is_printed_and_never_obeyed(content: ReportContent, markup: str) -> None:
    pdf = report_build(everywhere(content, markup))
    assert printed(pdf).replace(" ", "").count(markup.replace(" ", "")) >= 12
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        assert not [image for page in opened.pages for image in page.get_images()]


def test_a_character_no_font_has_is_shown_by_its_number_instead_of_vanishing(content: ReportContent) -> None:
    pdf = report_build(replace(content, limitations=("李明 signed\u202eotni\x07\u200b here\nand there",)))
    words = printed(pdf)
    assert "[U+674E][U+660E] signed[U+202E]otni[U+0007][U+200B] here and there" in words


def test_sections_that_do_not_apply_are_left_out(content: ReportContent) -> None:
    bare = replace(content, performance=None, explanation=None, bias=(), decisions=(), approvals=(), access=None)
    reader = pypdf.PdfReader(io.BytesIO(report_build(bare)))
    titles = [str(mark.title) for mark in reader.outline]  # type: ignore[union-attr]
    assert titles == ["1 Summary", "2 Lineage", "3 Ledger proofs", "4 Limitations", "5 Signature"]


def explained(content: ReportContent, *features: Importance) -> ReportContent:
    assert content.explanation is not None
    return replace(content, explanation=replace(content.explanation, features=features))


def receipted(content: ReportContent, *receipt: Particular) -> ReportContent:
    assert content.explanation is not None
    return replace(content, explanation=replace(content.explanation, receipt=receipt))


def grouped(content: ReportContent, groups: int) -> ReportContent:
    rows = tuple(Group(f"group {number}", 40, 0.5, 0.4, 0.6, None, None) for number in range(groups))
    return replace(content, bias=(replace(content.bias[0], groups=rows),))


UNUSUAL: dict[str, Callable[[ReportContent], ReportContent]] = {
    "a message longer than a page": lambda c: decided(c, "word " * 3000),
    "a word wider than the page": lambda c: replace(c, limitations=("x" * 2000,)),
    "a title of a hundred words": lambda c: replace(c, cover=replace(c.cover, title="word " * 100)),
    "a purpose longer than the cover": lambda c: replace(c, cover=replace(c.cover, purpose="word " * 2000)),
    "five hundred features": lambda c: explained(c, *(Importance(f"f{n}", 0.5, 0.4, 0.6) for n in range(500))),
    "no features": explained,
    "a receipt of one line": lambda c: receipted(c, Particular("Seed", "7")),
    "no receipt": receipted,
    "only a feature without importance": lambda c: explained(c, Importance("a", 0.0, 0.0, 0.0)),
    "two hundred groups": lambda c: grouped(c, 200),
    "no groups": lambda c: grouped(c, 0),
    "fifty data sets": lambda c: replace(c, lineage=c.lineage[:1] * 50),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_content_of_unusual_size_is_still_laid_out(content: ReportContent, case: str) -> None:
    with pikepdf.open(io.BytesIO(report_build(UNUSUAL[case](content)))) as pdf:
        assert len(pdf.pages) > 4


def test_a_malformed_time_is_an_error_of_the_content(content: ReportContent) -> None:
    with pytest.raises(ContentError, match="yesterday"):
        report_build(replace(content, as_of="yesterday"))
