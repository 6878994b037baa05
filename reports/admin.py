"""Reports and bundles in the admin, and on the page of the model version that they are about."""

from django.contrib import admin, messages
from django.http import FileResponse, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from audit.enums import AccessEvent
from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, anchor, code, command, link, moment, record_address, whole
from governance.admin.ledger import ledger_section
from governance.admin.model_versions import ModelVersionAdmin
from governance.admin.sections import Action, Facts, Page, Section, Table
from governance.models import ModelVersion
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject
from reports.enums import DocumentKind
from reports.errors import DocumentChangedError
from reports.models import Document
from reports.selectors.documents import CONTENT_TYPES, DOWNLOAD_EVENTS, document_name, document_open

_DOWNLOAD = "download"


@admin.register(Document)
class DocumentAdmin(GovernedAdmin[Document]):
    """What was issued."""

    kinds = (DocumentKind.REPORT.value, DocumentKind.BUNDLE.value)
    list_display = (
        "kind",
        "model_version",
        "environment",
        "digest_code",
        person_column("issued_by"),
        moment_column("issued_at"),
    )
    list_select_related = ("model_version__model", "issued_by")
    list_filter = ("kind",)
    search_fields = ("id__exact", "digest__startswith", "model_version__id__exact")
    search_help_text = "Document id, model version id, or start of a digest"

    @admin.display(description="digest")
    def digest_code(self, document: Document) -> Cell:
        """Show the digest."""
        return code(document.digest)

    def subject(self, record: Document) -> Subject:
        """Name it with its digest."""
        return Subject(record.kind, record.id, Digest.from_text(record.digest))

    def event(self, record: Document, page: str) -> AccessEvent:
        """Tell a download from a look at the page."""
        return DOWNLOAD_EVENTS[DocumentKind(record.kind)] if page == _DOWNLOAD else super().event(record, page)

    def addresses(self) -> tuple[Address, ...]:
        """Offer the file."""
        return (Address(_DOWNLOAD, _download),)

    def page(self, request: HttpRequest, record: Document) -> Page:  # noqa: ARG002
        """Show what was issued, and how to check it."""
        name = document_name(record)
        return Page(
            heading=str(record),
            lead="It can be checked offline, without an account here.",
            actions=(
                Action(words="Download", address=record_address(record, _DOWNLOAD), symbol="download", tone="main"),
            ),
            sections=(
                Facts(
                    title="Document",
                    rows=(
                        ("Id", code(record.id)),
                        ("Kind", record.get_kind_display()),
                        ("Model version", link(record.model_version)),
                        ("Environment", record.environment),
                        ("File", anchor(record_address(record, _DOWNLOAD), name)),
                        ("Size", f"{record.size:,} bytes"),
                        ("Digest of the file", whole(record.digest)),
                        ("Digest of the facts inside", whole(record.content_digest)),
                        ("Speaks of the ledger up to", f"{record.ledger_size:,} entries"),
                        ("Issued by", link(record.issued_by, record.issued_by.printed_name)),
                        ("Issued", moment(record.issued_at)),
                        ("Check it yourself", command(f"modelnotary verify {name} --trust trust.json")),
                        ("Keys to trust", anchor("/.well-known/modelnotary-trust.json", "trust.json of this instance")),
                    ),
                ),
                ledger_section(record.id),
            ),
        )


def _download(request: HttpRequest, document: Document) -> HttpResponseBase:
    try:
        file = document_open(document)
    except (DocumentChangedError, FileNotFoundError) as error:
        messages.error(request, f"Not handed out: {error}.")
        return HttpResponseRedirect(record_address(document))
    content_type = CONTENT_TYPES[DocumentKind(document.kind)]
    return FileResponse(file, as_attachment=True, filename=document_name(document), content_type=content_type)


admin.site.unregister(ModelVersion)


@admin.register(ModelVersion)
class DocumentedModelVersionAdmin(ModelVersionAdmin):
    """Model versions with the documents about them, of which governance knows nothing."""

    def sections(self, request: HttpRequest, record: ModelVersion) -> tuple[Section, ...]:
        """Put the documents before the jobs and the ledger."""
        *first, jobs, ledger = super().sections(request, record)
        return (*first, _documents(record), jobs, ledger)


def _documents(version: ModelVersion) -> Section:
    return Table(
        title="Documents",
        columns=("Document", "Environment", "Digest", "Issued"),
        rows=tuple(
            (link(item, item.get_kind_display()), item.environment, code(item.digest), moment(item.issued_at))
            for item in Document.objects.filter(model_version=version)
        ),
        empty="No report and no bundle was issued.",
    )
