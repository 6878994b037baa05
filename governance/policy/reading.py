"""Reading the values of a loaded document, whatever it is about: every fault is gathered with its place."""

import re
from typing import Any

from governance.policy.errors import Diagnostic, DocumentError
from governance.policy.source import Source

SLUG = re.compile(r"[-a-z0-9_]{1,80}", re.ASCII)
_TEXT_LIMIT = 4000


class DocumentReader:
    """Reads a loaded document and gathers faults instead of stopping at the first."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._faults: list[Diagnostic] = []

    def _require_no_fault(self, error: type[DocumentError]) -> None:
        if self._faults:
            raise error(sorted(self._faults, key=lambda fault: (fault.line, fault.column)))

    def _keys(self, item: dict[str, Any], known: set[str], pointer: str) -> None:
        for key in item:
            if key not in known:
                self._fault(f"{pointer}/{key}", f"unknown key; known: {', '.join(sorted(known))}")

    def _text(self, item: dict[str, Any], key: str, pointer: str) -> str:
        value = item.get(key)
        if isinstance(value, str) and 0 < len(value.strip()) <= _TEXT_LIMIT:
            return value.strip()
        self._fault(f"{pointer}/{key}", f"a text of 1 to {_TEXT_LIMIT} characters is needed")
        return ""

    def _slug(self, item: dict[str, Any], key: str) -> str:
        value = item.get(key)
        if isinstance(value, str) and SLUG.fullmatch(value):
            return value
        self._fault(f"/{key}", "a name of 1 to 80 lowercase letters, digits, hyphens and underscores is needed")
        return ""

    def _count(self, item: dict[str, Any], key: str, pointer: str, most: int, *, least: int = 1) -> int:
        value = item.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self._fault(f"{pointer}/{key}", f"a whole number from {least} to {most} is needed")
        return 0

    def _list(self, item: dict[str, Any], key: str, pointer: str = "") -> list[Any]:
        value = item.get(key)
        if isinstance(value, list) and value:
            return value
        # An empty set of rules would let everything through.
        self._fault(f"{pointer}/{key}", "a list with at least one item is needed")
        return []

    def _fault(self, pointer: str, message: str) -> None:
        self._faults.append(self._source.fault(pointer, message))
