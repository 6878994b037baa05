"""What the report rests on: access counts, ledger proofs, limitations, and the signature."""

from collections.abc import Callable

from reportlab.platypus import CallerMacro, Flowable, KeepTogether, Paragraph, Spacer

from reports.content import AccessSummary, Checkpoint, EntryProof, Ledger, Particular, ReportContent
from reports.numbers import count
from reports.sections.section import Section
from reports.tables import Column, data_table, log_name, panel, particulars
from reports.theme import RULE, WIDTH, moment, mono, style, text

SIGNATURE_HEIGHT = 84.0
"""Height in points of the signature's box; its width is the text width."""


def access(facts: AccessSummary) -> Section:
    """Who looked at the model's scores, by purpose of use."""
    columns = (
        Column("Purpose of use", 80),
        Column("Code", 20),
        Column("Events", 18, number=True),
        Column("People acting", 20, number=True),
    )
    rows = [(p.words, p.purpose, count(p.events), count(p.actors)) for p in facts.purposes]
    total = sum(purpose.events for purpose in facts.purposes)
    intro = (
        f"From {moment(facts.since)} up to {moment(facts.until)}: {count(total)} recorded events, of which "
        f"{count(facts.denied)} were refused. Counted from the first {count(facts.size)} entries of the "
        f"{log_name(facts.origin)} log."
    )
    return Section("Access to records", [Paragraph(text(intro), style("body")), data_table(columns, rows)])


def ledger(facts: Ledger) -> Section:
    """The signed states of the logs and the entries proven in them."""
    intro = (
        "Every fact of this report names the ledger entry that recorded it. The attached data hold each of "
        "these entries with its inclusion proof (RFC 6962) against the signed checkpoint below, so anyone "
        "with the log's public key can check them without this installation. Compare the checkpoint with "
        "one you kept."
    )
    return Section(
        "Ledger proofs",
        [Paragraph(intro, style("body")), *map(_checkpoint, facts.checkpoints), _proofs(facts.proofs)],
    )


def limitations(sentences: tuple[str, ...]) -> Section:
    """What the reader must not conclude from this report."""
    items = [Paragraph(f"{number}. {text(sentence)}", style("item")) for number, sentence in enumerate(sentences, 1)]
    return Section("Limitations", items)


def signature(content: ReportContent, twin_digest: str, place: Callable[[CallerMacro], None]) -> Section:
    """How the report is signed and checked, and the signature's box; `place` is called where it is drawn."""
    intro = (
        "This file was issued once and is signed as a whole: the signature covers every byte, the attached "
        "data included, and permits no later change. It is valid only if the signer's certificate leads to "
        "the root certificate the operator has published."
    )
    facts = [
        Particular("Report", content.report_id),
        Particular("Attached data", "report.json, the facts of this report as canonical JSON (RFC 8785)"),
        Particular("Digest of the data", twin_digest),
    ]
    command = Paragraph("modelnotary verify report.pdf --trust trust.json", style("code"))
    # The macro has no height of its own: the space above it is what it draws into.
    box = [Spacer(0, SIGNATURE_HEIGHT), CallerMacro(drawCallable=place)]
    return Section(
        "Signature",
        [
            KeepTogether(
                [
                    Paragraph(intro, style("body")),
                    *particulars(facts),
                    Paragraph("To check it offline, with the operator's published trust file:", style("body")),
                    panel([command]),
                    *box,
                ]
            )
        ],
    )


def signature_outline(macro: CallerMacro) -> None:
    """Draw the outline of the signature's box at the macro's place."""
    macro.canv.saveState()
    macro.canv.setStrokeColor(RULE)
    macro.canv.setLineWidth(0.7)
    macro.canv.roundRect(0, 0, WIDTH, SIGNATURE_HEIGHT, 3)
    macro.canv.restoreState()


def _checkpoint(point: Checkpoint) -> Flowable:
    lines = "<br/>".join(mono(line, per_line=92) for line in point.note.splitlines())
    facts = [
        Particular("Log", point.origin),
        Particular("Size", f"{count(point.size)} entries"),
        Particular("Root hash", point.root),
    ]
    return KeepTogether(
        [
            Paragraph(text(f"{log_name(point.origin).capitalize()} log"), style("h2")),
            *particulars(facts),
            panel([Paragraph(lines, style("code"))]),
        ]
    )


def _proofs(proofs: tuple[EntryProof, ...]) -> Flowable:
    columns = (
        Column("Log", 18),
        Column("Event", 50),
        Column("Recorded", 36),
        Column("Entry", 14, number=True),
        Column("Tree size", 16, number=True),
    )
    rows = [
        (log_name(proof.origin), proof.type, moment(proof.at), count(proof.index), count(proof.size))
        for proof in proofs
    ]
    return data_table(columns, rows)
