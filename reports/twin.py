"""The machine-readable twin: report content as canonical JSON and back.

The twin is the RFC 8785 form of the content with one more member, ``format``. It is embedded in the PDF as
``report.json`` and holds everything the pages print, the signed decisions and the ledger proofs.
"""

import dataclasses
import types
from functools import cache
from typing import cast, get_args, get_origin, get_type_hints

from modelnotary.ledger.canonical import canonical_bytes, parse_canonical
from modelnotary.ledger.errors import CanonicalError
from modelnotary.verify.report_format import REPORT_FORMAT
from reports.content import ReportContent
from reports.errors import ContentError


def content_to_json(content: ReportContent) -> bytes:
    """The twin of `content`: RFC 8785 canonical JSON bytes; inverse of `content_from_json`.

    Raises:
        ContentError: a number is not finite or an integer lies outside what JSON carries exactly.
    """
    try:
        return canonical_bytes({"format": REPORT_FORMAT, **dataclasses.asdict(content)})
    except CanonicalError as error:
        raise ContentError(f"The content has no canonical form: {error}") from error


def content_from_json(data: bytes) -> ReportContent:
    """Read a twin; the inverse of `content_to_json`.

    Raises:
        ContentError: the bytes are not canonical JSON, are of another format, or a member is missing, unknown
            or of the wrong type; the error's `pointer` says where.
    """
    try:
        document = parse_canonical(data)
    except CanonicalError as error:
        raise ContentError(f"The twin cannot be read: {error}; take it again from the report") from error
    if not isinstance(document, dict):
        raise ContentError("The twin must be a JSON object")
    if document.pop("format", None) != REPORT_FORMAT:
        raise ContentError(f"The twin's format must be {REPORT_FORMAT}", pointer="/format")
    return cast("ReportContent", _read(ReportContent, document, ""))


def _read(kind: object, value: object, pointer: str) -> object:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _read_object(kind, value, pointer)
    if get_origin(kind) is tuple:
        return _read_list(get_args(kind)[0], value, pointer)
    if isinstance(kind, types.UnionType):
        return None if value is None else _read(get_args(kind)[0], value, pointer)
    # Canonical JSON writes 1.0 as 1.
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ContentError(f"Expected {getattr(kind, '__name__', kind)}", pointer=pointer)
    return value


def _read_object(kind: type, value: object, pointer: str) -> object:
    members = _members(kind)
    if not isinstance(value, dict) or value.keys() != members.keys():
        raise ContentError(f"Expected an object with the members {', '.join(members)}", pointer=pointer)
    return kind(**{name: _read(member, value[name], f"{pointer}/{name}") for name, member in members.items()})


def _read_list(kind: object, value: object, pointer: str) -> object:
    if not isinstance(value, list):
        raise ContentError("Expected a list", pointer=pointer)
    return tuple(_read(kind, item, f"{pointer}/{index}") for index, item in enumerate(value))


@cache
def _members(kind: type) -> dict[str, object]:
    return get_type_hints(kind)
