"""Reading single fields of the catalogue's files. What is wrong becomes a fault with its place, and reading goes on."""

from datetime import date, datetime
from typing import Any

from governance.controls.errors import Fault
from governance.controls.vocabulary import About, Force


class Fields:
    """Reads fields and gathers faults instead of stopping at the first."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults

    def is_table(self, item: object, known: set[str], place: str) -> bool:
        """Say whether this is a table, and refuse fields that are not known."""
        if not isinstance(item, dict):
            self.fault(place, f"a table with {', '.join(sorted(known))} is needed")
            return False
        self.keys(item, known, place)
        return True

    def keys(self, item: dict[str, Any], known: set[str], place: str) -> None:
        """Refuse fields that are not known."""
        for key in item:
            if key not in known:
                self.fault(f"{place}: {key}", f"unknown field; known: {', '.join(sorted(known))}")

    def text(self, item: dict[str, Any], key: str, place: str) -> str:
        """Read a text."""
        value = item.get(key)
        if isinstance(value, str) and value.strip() == value != "":
            return value
        self.fault(f"{place}: {key}", "a text without spaces around it is needed")
        return ""

    def optional_text(self, item: dict[str, Any], key: str, place: str) -> str:
        """Read a text that may be left out."""
        return self.text(item, key, place) if key in item else ""

    def texts(self, item: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
        """Read a list of texts."""
        value = item.get(key)
        if isinstance(value, list) and value and all(isinstance(text, str) and text for text in value):
            return tuple(value)
        self.fault(f"{place}: {key}", "a list with at least one text is needed")
        return ()

    def day(self, item: dict[str, Any], key: str, place: str) -> date | None:
        """Read a date."""
        value = item.get(key)
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        self.fault(f"{place}: {key}", "a date such as 2026-04-17, without quotes, is needed")
        return None

    def optional_day(self, item: dict[str, Any], key: str, place: str) -> date | None:
        """Read a date that may be left out."""
        return self.day(item, key, place) if key in item else None

    def choice[Value: (Force, About)](self, item: dict[str, Any], key: str, kind: type[Value], place: str) -> Value:
        """Read a word of a closed vocabulary."""
        found = [value for value in kind if value == item.get(key)]
        if not found:
            self.fault(f"{place}: {key}", f"one of {', '.join(kind)} is needed")
        return next(iter(found or kind))

    def fault(self, place: str, message: str) -> None:
        """Note what is wrong."""
        self._faults.append(Fault(place, message))
