"""Issued documents as files to hand out."""

import hashlib
from typing import TYPE_CHECKING

from django.core.files.storage import storages

from audit.enums import AccessEvent
from modelnotary.ledger.digest import Digest
from reports.enums import DocumentKind
from reports.errors import DocumentChangedError
from reports.models import Document

if TYPE_CHECKING:
    from django.core.files import File

DOWNLOAD_EVENTS = {
    DocumentKind.REPORT: AccessEvent.REPORT_DOWNLOADED,
    DocumentKind.BUNDLE: AccessEvent.BUNDLE_DOWNLOADED,
}
CONTENT_TYPES = {DocumentKind.REPORT: "application/pdf", DocumentKind.BUNDLE: "application/zip"}
_SUFFIXES = {DocumentKind.REPORT: "pdf", DocumentKind.BUNDLE: "zip"}


def document_name(document: Document) -> str:
    """Give the file name under which a document is handed out."""
    return f"{document.id}.{_SUFFIXES[DocumentKind(document.kind)]}"


def document_open(document: Document) -> "File[bytes]":
    """Open the file as issued, after hashing it again.

    Raises:
        DocumentChangedError: The stored bytes are not those that were issued.
    """
    file = storages["artifacts"].open(document.path)
    hashed = hashlib.sha256()
    for chunk in file.chunks():
        hashed.update(chunk)
    actual = Digest(hashed.digest())
    if actual.text != document.digest:
        file.close()
        raise DocumentChangedError(
            f"the stored file of {document.id} now has digest {actual}, issued was {document.digest}; restore it"
        )
    file.seek(0)
    return file
