"""JSON as strict as the ledger's: no key twice, no NaN, no trailing text, and nothing that could not be stored."""

import re
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from governance.api.errors import PayloadTooLarge
from modelnotary.ledger.canonical import Json, parse_json
from modelnotary.ledger.errors import CanonicalError

BODY_LIMIT = 4 * 1024 * 1024
DEPTH_LIMIT = 32
# The zero character has no place in a database text; half of a surrogate pair has no bytes.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class StrictJsonParser(BaseParser):
    """Parses `application/json`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the base class's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:  # noqa: ANN401 - JSON
        """Give the parsed body.

        Raises:
            ParseError: It is not JSON, not unambiguous, nests too deeply, or holds what no text can hold.
            PayloadTooLarge: It is too long.
        """
        body = stream.read(BODY_LIMIT + 1)
        if len(body) > BODY_LIMIT:
            raise PayloadTooLarge(BODY_LIMIT)
        try:
            value = parse_json(body)
        except CanonicalError as error:
            raise ParseError(str(error)) from error
        _require_storable(value)
        return value


def _require_storable(value: Json) -> None:
    # Not by recursion: what is checked is how deep it goes.
    waiting: list[tuple[Json, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH_LIMIT:
            raise ParseError(f"this JSON nests deeper than {DEPTH_LIMIT} levels")
        if isinstance(item, str) and _UNSTORABLE.search(item):
            raise ParseError("a text holds the character U+0000 or half of a surrogate pair")
        if isinstance(item, dict):
            waiting.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            waiting.extend((part, depth + 1) for part in item)
