"""Asking for documents, and downloading them."""

from typing import ClassVar

from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.api.jobs import job_accepted
from governance.enums import Scope
from governance.services.accesses import access_record
from governance.tasks import job_remind
from modelnotary.ledger.digest import Digest
from reports.api.serializers import DocumentInput, DocumentOutput
from reports.enums import DocumentKind
from reports.models import Document
from reports.selectors.documents import CONTENT_TYPES, DOWNLOAD_EVENTS, document_name, document_open
from reports.services import document_request


class DocumentsView(GovernedView):
    """Reports and bundles."""

    scopes: ClassVar = {"POST": Scope.REPORT_CREATE}

    @operation(
        "document_request",
        "Ask for a report or a bundle",
        takes=DocumentInput,
        gives={202: s.JobOutput},
        problems=(400, 404),
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the job that makes it."""
        body = parsed(DocumentInput, request)
        job = document_request(
            actor=self.caller(),
            kind=DocumentKind(body["kind"]),
            version=self.model_version(body["model"]),
            environment=body["environment"],
            at=timezone.now(),
        )
        job_remind(job)
        return job_accepted(job, request)


class DocumentView(GovernedView):
    """One document."""

    scopes: ClassVar = {"GET": Scope.REPORT_CREATE}

    @operation("document_get", "Read what a document is", gives={200: DocumentOutput}, problems=(404,))
    def get(self, request: Request, document_id: str) -> Response:  # noqa: ARG002
        """Give the document's digests; the reading is logged."""
        document = self.found(Document.objects.select_related("model_version"), "document", pk=document_id)
        self.viewed(document.kind, document.id, document.digest)
        return Response(DocumentOutput(document).data)


class DocumentContentView(GovernedView):
    """The bytes of a document."""

    scopes: ClassVar = {"GET": Scope.REPORT_CREATE}

    @operation(
        "document_download",
        "Download a document",
        gives={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        problems=(404,),
    )
    def get(self, request: Request, document_id: str) -> FileResponse:  # noqa: ARG002
        """Give the file as issued; the download is logged before the first byte leaves."""
        document = self.found(Document.objects.all(), "document", pk=document_id)
        kind = DocumentKind(document.kind)
        file = document_open(document)
        access_record(
            actor=self.caller(),
            event=DOWNLOAD_EVENTS[kind],
            kind=document.kind,
            identity=document.id,
            digest=Digest.from_text(document.digest),
            data={"door": "api"},
            at=timezone.now(),
        )
        return FileResponse(
            file, as_attachment=True, filename=document_name(document), content_type=CONTENT_TYPES[kind]
        )
