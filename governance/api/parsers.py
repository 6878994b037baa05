"""JSON as strict as the ledger's: no key twice, no NaN, no trailing text."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from modelnotary.ledger.canonical import parse_json
from modelnotary.ledger.errors import CanonicalError

BODY_LIMIT = 4 * 1024 * 1024


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
            ParseError: It is not JSON, or not unambiguous.
        """
        try:
            return parse_json(stream.read(BODY_LIMIT + 1), limit=BODY_LIMIT)
        except CanonicalError as error:
            raise ParseError(str(error)) from error
