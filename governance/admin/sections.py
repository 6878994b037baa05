"""What a page of the admin is made of. An admin class gives a `Page`; the templates draw it."""

from dataclasses import dataclass
from typing import ClassVar

from django.utils.safestring import SafeString
from django.utils.text import slugify

from governance.admin.cells import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of a page.

    Attributes:
        title: Its heading, also its entry in the page's table of contents.
        note: A sentence below the heading.
        folded: Shown closed, to be opened by who needs it.
        foot: A link below.
    """

    title: str
    note: str = ""
    folded: bool = False
    foot: Cell = None
    template: ClassVar[str]

    @property
    def anchor(self) -> str:
        """The name by which addresses lead here."""
        return slugify(self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Section):
    """Names beside their values."""

    rows: tuple[tuple[str, Cell], ...]
    template: ClassVar[str] = "governance/admin/facts.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Section):
    """Rows under headings; `empty` says why there are none and what would bring them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "There is nothing here yet."
    template: ClassVar[str] = "governance/admin/table.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question of a filter: a day, or a choice where there are options."""

    name: str
    label: str
    value: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def choice(
        cls, name: str, label: str, value: str, options: tuple[tuple[str, str], ...], nothing: str = "all"
    ) -> "Field":
        """Ask for one of several, or for `nothing` in particular."""
        return cls(name=name, label=label, value=value, options=(("", nothing), *options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters(Section):
    """What of a page is to be shown."""

    fields: tuple[Field, ...]
    template: ClassVar[str] = "governance/admin/filters.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Section):
    """A text as it stands, for instance that of a policy."""

    text: str
    template: ClassVar[str] = "governance/admin/text.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a chart. `share`, `low` and `high` are percentages of the chart's width."""

    label: str
    words: Cell
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars(Section):
    """A bar chart with its numbers beside it."""

    scale: str
    bars: tuple[Bar, ...]
    template: ClassVar[str] = "governance/admin/bars.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A button at the top of a page; `tone` is `main`, `danger` or `plain`."""

    words: str
    address: str
    symbol: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A sentence that the reader must see first; `tone` is `waiting`, `good` or `bad`."""

    words: str
    tone: str = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of one record.

    Attributes:
        heading: Its name.
        kind: What it is, where it is no record whose model has a name.
        lead: What it is, in a sentence.
        marks: What it is told apart by, for instance a digest.
        sections: Its parts, the most important first.
        badge: Its state.
        notices: What the reader must know before reading on.
        actions: What the reader may do.
    """

    heading: str
    sections: tuple[Section, ...]
    kind: str = ""
    lead: str = ""
    marks: tuple[Cell, ...] = ()
    badge: SafeString | str = ""
    notices: tuple[Notice, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHead:
    """What goes above a list: what the reader must know about all of its records, and what may be done."""

    lead: str = ""
    notices: tuple[Notice, ...] = ()
    actions: tuple[Action, ...] = ()
