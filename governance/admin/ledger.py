"""The ledger's pages. They are here and not in `audit`, because the door and its log are governance's."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from unfold.paginator import InfinitePaginator

from audit.enums import AccessEvent, LineageEvent, Log
from audit.errors import NotSequencedError, UnknownEntryError
from audit.models import Checkpoint, Entry
from audit.pruning import prunings_of_class
from audit.selectors import entries_matching, entries_of, entry_get, entry_proof
from governance.admin.base import LIST, Address, GovernedAdmin, subject_link
from governance.admin.cells import (
    Cell,
    anchor,
    badge,
    code,
    command,
    moment,
    nested,
    record_address,
    stack,
    whole,
)
from governance.admin.sections import Action, Facts, Notice, Page, Section, Table, Text
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import LedgerError
from modelnotary.ledger.event import Actor, Event
from modelnotary.ledger.event import Subject as LedgerSubject
from modelnotary.ledger.merkle import leaf_hash

_SHOWN_EVENTS = 50


def entry_address(event_id: str, page: str = "change") -> str:
    """Give the address of an entry's page."""
    return reverse(f"admin:audit_entry_{page}", args=[event_id])


def place(entry: Entry) -> str:
    """Say where in its log an entry stands."""
    return "waits for its place" if entry.seq is None else f"{entry.seq:,}"


def ledger_section(subject_id: str) -> Section:
    """Show what the ledger holds about a thing."""
    entries = entries_of(subject_id=subject_id, log=Log.LINEAGE, limit=_SHOWN_EVENTS)
    search = f"{reverse('admin:audit_entry_changelist')}?log={Log.ACCESS}&q={subject_id}"
    gone = prunings_of_class(log_class=Log.LINEAGE)
    archived = f" Not shown: {gone[-1].words}, and what was before them." if gone else ""
    return Table(
        title="In the ledger",
        note=f"Written in the same transaction as the change, in an order that nobody can rewrite unnoticed.{archived}",
        columns=("Event", "Index", "Time", "By", "Entry"),
        rows=tuple((e.event_type, place(e), moment(e.at), e.actor_name, _entry_link(e)) for e in entries),
        foot=anchor(search, "Who looked at this"),
    )


def _entry_link(entry: Entry) -> Cell:
    return anchor(entry_address(entry.event_id), entry.event_id)


class LogFilter(admin.SimpleListFilter):
    """By log; the choices are known, so none is looked up."""

    title = "log"
    parameter_name = "log"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401, ARG002
        """Give the two logs."""
        return [(log.value, log.label) for log in Log]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:  # noqa: ARG002
        """Keep the entries of one log."""
        return queryset.filter(log_class=self.value()) if self.value() in Log.values else queryset


class EventFilter(admin.SimpleListFilter):
    """By type of event."""

    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401, ARG002
        """Give the types of both logs."""
        return [(event.value, event.value) for event in (*LineageEvent, *AccessEvent)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Entry]) -> QuerySet[Entry]:  # noqa: ARG002
        """Keep the entries of one type."""
        return queryset.filter(event_type=self.value()) if self.value() else queryset


@admin.register(Entry)
class EntryAdmin(GovernedAdmin[Entry]):
    """What was recorded, newest first. Nothing is counted: a ledger may hold a billion entries."""

    kinds = ("entry",)
    deferred = ("bytes", "leaf")
    list_display = ("entry_link", "log", "index", "happened", "actor_name", "about", "digest")
    list_display_links = None
    list_filter = (LogFilter, EventFilter)
    list_filter_sheet = True
    ordering = ("-body_id",)
    sortable_by = ()
    paginator = InfinitePaginator
    search_fields = ("event_id__exact",)
    search_help_text = "Event id, subject id, or start of a digest"

    @admin.display(description="event")
    def entry_link(self, entry: Entry) -> Cell:
        """Lead to the entry."""
        return anchor(entry_address(entry.event_id), entry.event_type)

    @admin.display(description="index")
    def index(self, entry: Entry) -> Cell:
        """Say where in its log it stands."""
        return place(entry)

    @admin.display(description="time")
    def happened(self, entry: Entry) -> Cell:
        """Say when."""
        return moment(entry.at)

    @admin.display(description="about")
    def about(self, entry: Entry) -> Cell:
        """Say what it is about."""
        kind = entry.subject_kind.replace("_", " ")
        return f"list of {kind} records" if entry.subject_id == LIST else stack((kind, code(entry.subject_id)))

    @admin.display(description="digest")
    def digest(self, entry: Entry) -> Cell:
        """Show the digest of what it is about."""
        return code(entry.subject_digest)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Entry], search_term: str
    ) -> tuple[QuerySet[Entry], bool]:
        """Search by what is indexed only."""
        if not self.get_search_fields(request) or not search_term.strip():
            return queryset, False
        return entries_matching(entries=queryset, term=search_term.strip()), False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Entry | None:  # noqa: ARG002
        """Find an entry by its event id, which is its name everywhere else."""
        return self.get_queryset(request).filter(event_id=object_id).first()

    def _unknown(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        """Say where the archive is of an entry that the log no longer has."""
        try:
            entry_get(event_id=object_id)
        except UnknownEntryError as error:
            messages.error(request, capfirst(str(error)))
        return HttpResponseRedirect(reverse("admin:audit_entry_changelist"))

    def subject(self, record: Entry) -> LedgerSubject:
        """Name it by its event id."""
        return LedgerSubject("entry", record.event_id)

    def addresses(self) -> tuple[Address, ...]:
        """Offer the bytes and their proof."""
        return (Address("leaf", _leaf_download), Address("proof", _proof_download))

    def page(self, request: HttpRequest, record: Entry) -> Page:  # noqa: ARG002
        """Show what the entry says and how to prove it."""
        waits = record.seq is None
        return Page(
            heading=record.event_type,
            lead="" if waits else f"Entry {place(record)} of the {record.log} log.",
            badge=badge("pending", "waiting") if waits else badge("passed", "in the log"),
            actions=_entry_actions(record),
            notices=(Notice(words=_WAITING),) if waits else (),
            sections=(*_event_sections(record), Facts(title="Proof", rows=_proof_rows(record))),
        )


_WAITING = "This entry is committed and gets its place in the log within a second. Load the page again."


def _entry_actions(entry: Entry) -> tuple[Action, ...]:
    leaf = Action(words="Exact bytes", address=entry_address(entry.event_id, "leaf"), symbol="data_object")
    if entry.seq is None:
        return (leaf,)
    proof = entry_address(entry.event_id, "proof")
    return (Action(words="Proof", address=proof, symbol="verified", tone="main"), leaf)


def _event_sections(entry: Entry) -> tuple[Section, ...]:
    try:
        event = Event.from_bytes(bytes(entry.bytes))
    except LedgerError as error:
        return (Facts(title="Event", rows=(("Unreadable", f"The stored bytes are no event: {error}"),)),)
    return (
        Facts(title="Event", rows=_event_rows(entry, event)),
        Facts(title="What it says", rows=_data_rows(event)),
    )


def _event_rows(entry: Entry, event: Event) -> tuple[tuple[str, Cell], ...]:
    return (
        ("Event", code(entry.event_id)),
        ("Time", moment(entry.at)),
        ("By", f"{event.actor.name} ({event.actor.kind})"),
        ("Account", _account(event.actor)),
        ("About", event.subject.kind.replace("_", " ")),
        ("Id", subject_link(event.subject.kind, event.subject.id)),
        ("Digest", whole(event.subject.digest.text if event.subject.digest else None)),
    )


def _account(actor: Actor) -> Cell:
    """Lead to an account of ours. People of other systems and our own processes have none."""
    return subject_link("user", actor.id) if actor.id.startswith("usr_") else actor.id


def _data_rows(event: Event) -> tuple[tuple[str, Cell], ...]:
    return tuple((name.replace("_", " ").capitalize(), nested(value)) for name, value in event.data.items())


def _proof_rows(entry: Entry) -> tuple[tuple[str, Cell], ...]:
    stored = bytes(entry.leaf) if entry.leaf else None
    same = stored == leaf_hash(bytes(entry.bytes))
    intact = badge("passed", "the bytes have this hash") if same else badge("failed", "the bytes were changed")
    return (
        ("Leaf hash", stack([whole(stored.hex()), intact]) if stored else None),
        ("Digest of the bytes", whole(Digest.of(bytes(entry.bytes)).text)),
        ("Check it yourself", command(f"modelnotary verify {_proof_name(entry)} --trust trust.json")),
    )


def _proof_name(entry: Entry) -> str:
    return f"{entry.event_id}.tlog-proof"


def _leaf_download(request: HttpRequest, entry: Entry) -> HttpResponse:  # noqa: ARG001
    return attachment(bytes(entry.bytes), f"{entry.event_id}.json", "application/json")


def _proof_download(request: HttpRequest, entry: Entry) -> HttpResponse:  # noqa: ARG001
    try:
        proof = entry_proof(event_id=entry.event_id).proof
    except NotSequencedError as refusal:
        return HttpResponse(f"{refusal}\n", status=409, content_type="text/plain; charset=utf-8")
    return attachment(proof.encode(), _proof_name(entry), "text/plain; charset=utf-8")


def attachment(content: bytes, name: str, content_type: str) -> HttpResponse:
    """Give bytes as a file to keep."""
    return HttpResponse(
        content, content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@admin.register(Checkpoint)
class CheckpointAdmin(GovernedAdmin[Checkpoint]):
    """The signed tree heads: what an auditor keeps."""

    kinds = ("checkpoint",)
    list_display = ("name", "size", "signed", "origin")
    list_display_links = None
    list_filter = (LogFilter,)
    ordering = ("-at",)
    sortable_by = ()
    paginator = InfinitePaginator

    @admin.display(description="log")
    def name(self, checkpoint: Checkpoint) -> Cell:
        """Lead to the checkpoint."""
        return anchor(record_address(checkpoint), checkpoint.log)

    @admin.display(description="signed")
    def signed(self, checkpoint: Checkpoint) -> Cell:
        """Say when."""
        return moment(checkpoint.at)

    def addresses(self) -> tuple[Address, ...]:
        """Offer the note."""
        return (Address("note", _note_download),)

    def page(self, request: HttpRequest, record: Checkpoint) -> Page:  # noqa: ARG002
        """Show the note and how to check against it."""
        check = f"modelnotary verify bundle.zip --checkpoint {_note_name(record)} --trust trust.json"
        return Page(
            heading=f"{record.log} log at {record.size:,} entries",
            lead="Keep a copy outside: a later history that does not begin with this one is then found out.",
            actions=(Action(words="Download", address=record_address(record, "note"), symbol="download", tone="main"),),
            sections=(
                Facts(
                    title="Checkpoint",
                    rows=(
                        ("Log", record.log),
                        ("Origin", record.origin),
                        ("Size", f"{record.size:,}"),
                        ("Root", whole(bytes(record.root).hex())),
                        ("Signed", moment(record.at)),
                        ("Check a bundle against it", command(check)),
                    ),
                ),
                Text(title="Signed note", text=record.note),
            ),
        )


def _note_name(checkpoint: Checkpoint) -> str:
    return f"checkpoint-{checkpoint.log}-{checkpoint.size}.txt"


def _note_download(request: HttpRequest, checkpoint: Checkpoint) -> HttpResponse:  # noqa: ARG001
    return attachment(checkpoint.note.encode(), _note_name(checkpoint), "text/plain; charset=utf-8")
