"""Reading one condition on a field: what can be asked depends on the field's kind."""

from collections.abc import Iterable
from typing import Any

from governance.controls.facts import COUNT_LIMIT
from governance.evidence.schemas import name_hint
from governance.policy.reading import DocumentReader
from governance.tiering.fields import Field, FieldKind
from governance.tiering.template import Condition, Contains, Is, Missing, OneOf, Otherwise, Range, Within

_TEXT_LIMIT = 200
_TEXT_WORDS = f"a text of 1 to {_TEXT_LIMIT} characters is needed; put yes, no and numbers in quotes"
_FAULTS_LIMIT = 100
_ALL = ("is", "from", "below", "one_of", "contains", "missing", "otherwise")
_ALWAYS = ("missing", "otherwise")
_ASKED = {
    FieldKind.TRUTH: ("is",),
    FieldKind.COUNT: ("from", "below"),
    FieldKind.TEXT: ("one_of", "contains"),
    FieldKind.CHOICE: ("one_of",),
    FieldKind.SET: ("one_of", "contains"),
    FieldKind.PLACES: ("one_of",),
}


class ConditionReader(DocumentReader):
    """Reads conditions, for rules and for overrides."""

    def _fault(self, pointer: str, message: str) -> None:
        if not self._is_full:
            super()._fault(pointer, message)

    @property
    def _is_full(self) -> bool:
        """Whether so much is wrong that listing more would take long and help nobody."""
        return len(self._faults) >= _FAULTS_LIMIT

    def _hint(self, name: object, known: Iterable[str]) -> str:
        return "" if self._is_full else name_hint(str(name), known)

    def _condition(
        self, item: dict[str, Any], pointer: str, field: Field | None, *, also: set[str]
    ) -> Condition | None:
        """Read the one condition of a mapping, which may hold other keys beside it."""
        self._keys(item, {*_ALL, *also}, pointer)
        given = [key for key in _ALL if key in item]
        if len(given) != 1 and given != ["from", "below"]:
            words = "one condition is needed: is, from and below (or one of the two), one_of, contains, missing, "
            self._fault(pointer, words + "otherwise")
            return None
        if field and given[0] not in (*_ASKED[field.kind], *_ALWAYS):
            can = ", ".join((*_ASKED[field.kind], *_ALWAYS))
            self._fault(f"{pointer}/{given[0]}", f"cannot be asked of a {field.kind}; can be: {can}")
            return None
        return self._asked(given, item, pointer, field)

    def _asked(self, given: list[str], item: dict[str, Any], pointer: str, field: Field | None) -> Condition | None:
        faults = len(self._faults)
        condition: Condition
        match given[0]:
            case "is":
                condition = Is(self._truth(item, "is", pointer))
            case "from" | "below":
                condition = self._range(item, pointer)
            case "one_of":
                values = self._values(item, "one_of", pointer, field)
                is_places = field is not None and field.kind is FieldKind.PLACES
                condition = Within(values) if is_places else OneOf(values)
            case "contains":
                condition = Contains(self._values(item, "contains", pointer, None))
            case _:
                if not self._truth(item, given[0], pointer):
                    self._fault(f"{pointer}/{given[0]}", "true is needed")
                condition = Missing() if given[0] == "missing" else Otherwise()
        return condition if len(self._faults) == faults and not self._is_full else None

    def _range(self, item: dict[str, Any], pointer: str) -> Range:
        least = self._count(item, "from", pointer, COUNT_LIMIT, least=0) if "from" in item else None
        below = self._count(item, "below", pointer, COUNT_LIMIT) if "below" in item else None
        if least is not None and below and below <= least:
            self._fault(f"{pointer}/below", f"no number is from {least} and below {below}")
        return Range(least, below)

    def _values(self, item: dict[str, Any], key: str, pointer: str, field: Field | None) -> tuple[str, ...]:
        values = self._list(item, key, pointer)
        for at, value in enumerate(values):
            place = f"{pointer}/{key}/{at}"
            if not isinstance(value, str) or not 0 < len(value.strip()) <= _TEXT_LIMIT:
                self._fault(
                    place, f"a text of 1 to {_TEXT_LIMIT} characters is needed; put yes, no and numbers in quotes"
                )
            elif field and field.choices and value not in field.choices:
                self._fault(place, f"no value that the field can have; {self._hint(value, field.choices)}")
        return tuple(value for value in values if isinstance(value, str))

    def _truth(self, item: dict[str, Any], key: str, pointer: str) -> bool:
        value = item.get(key)
        if isinstance(value, bool):
            return value
        self._fault(f"{pointer}/{key}", "true or false is needed")
        return False
