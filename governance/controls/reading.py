"""The catalogue's files: TOML -> checked catalogue. Strict: what is not known is refused, with its place."""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from governance.controls.catalogue import Catalogue, Checklist, Control, EvidenceKind
from governance.controls.consistency import catalogue_faults
from governance.controls.errors import CatalogueError, Fault
from governance.controls.reading_fields import Fields
from governance.controls.reading_framework import FrameworkReader
from governance.controls.vocabulary import About

HEAD, SOURCES, EVIDENCE, CHECKLISTS = "catalogue.toml", "sources.toml", "evidence_types.toml", "checklists.toml"
_HEAD_KEYS = {"title", "version", "checked_on", "covers_from", "frameworks"}


def installed_texts() -> dict[str, str]:
    """Give the files of the catalogue that this installation came with."""
    folder = files("governance.controls") / "data"
    return {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir()}


@cache
def installed_catalogue() -> Catalogue:
    """Give the catalogue that this installation came with.

    Raises:
        CatalogueError: Its files were damaged.
    """
    return read_catalogue(installed_texts())


def read_catalogue(texts: Mapping[str, str]) -> Catalogue:
    """Read a catalogue from its files.

    Args:
        texts: File name -> TOML text: `catalogue.toml`, `sources.toml`, `evidence_types.toml`, `checklists.toml`, and
            one file for each framework that the first names.

    Raises:
        CatalogueError: With every fault found and its place: file, control, field.
    """
    faults: list[Fault] = []
    catalogue = _Reader(texts, faults).catalogue()
    if not faults:
        faults += catalogue_faults(catalogue)
    if faults:
        raise CatalogueError(faults)
    return catalogue


class _Reader(Fields):
    """Reads the files that all frameworks share, and through `FrameworkReader` those of each."""

    def __init__(self, texts: Mapping[str, str], faults: list[Fault]) -> None:
        super().__init__(faults)
        self._texts = texts

    def catalogue(self) -> Catalogue:
        head = self._file(HEAD)
        self.keys(head, _HEAD_KEYS, HEAD)
        slugs = self.texts(head, "frameworks", HEAD)
        self._files_named(slugs)
        frameworks: dict[str, str] = {}
        controls: list[Control] = []
        for slug in slugs:
            reader = FrameworkReader(slug, self._file(f"{slug}.toml"), self._faults)
            frameworks[slug] = reader.name
            controls += reader.controls()
        sources = self._sources()
        return Catalogue(
            title=self.text(head, "title", HEAD),
            version=self.text(head, "version", HEAD),
            checked_on=self.day(head, "checked_on", HEAD) or date.min,
            covers_from=self.day(head, "covers_from", HEAD) or date.min,
            frameworks=frameworks,
            controls=tuple(controls),
            evidence_kinds=self._evidence_kinds(),
            checklists=self._checklists(sources),
            sources=sources,
        )

    def _file(self, name: str) -> dict[str, Any]:
        if name not in self._texts:
            self.fault(name, "this file is missing")
            return {}
        try:
            return tomllib.loads(self._texts[name])
        except (ValueError, RecursionError) as error:  # ValueError: also a date such as 2026-02-30
            self.fault(name, f"not TOML: {error}")
            return {}

    def _files_named(self, slugs: tuple[str, ...]) -> None:
        known = {HEAD, SOURCES, EVIDENCE, CHECKLISTS, *(f"{slug}.toml" for slug in slugs)}
        for name in sorted(self._texts.keys() - known):
            self.fault(name, f"{HEAD} does not name this file")
        for slug in sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            self.fault(f"{HEAD}: frameworks", f"{slug} is given twice")

    def _sources(self) -> dict[str, str]:
        table = self._file(SOURCES)
        for mark in table:
            if mark[:1] not in ("P", "S") or not mark[1:].isdecimal():
                self.fault(f"{SOURCES}: {mark}", "a mark is P or S with a number; M needs no entry")
        return {mark: self.text(table, mark, SOURCES) for mark in table}

    def _evidence_kinds(self) -> dict[str, EvidenceKind]:
        kinds = {}
        for name, item in self._file(EVIDENCE).items():
            place = f"{EVIDENCE}: {name}"
            if self.is_table(item, {"label", "about", "verdict"}, place):
                about = self.choice(item, "about", About, place)
                if not isinstance(item.get("verdict"), bool):
                    self.fault(f"{place}: verdict", "true or false is needed")
                kinds[name] = EvidenceKind(self.text(item, "label", place), about, item.get("verdict") is True)
        return kinds

    def _checklists(self, sources: dict[str, str]) -> dict[str, Checklist]:
        lists = {}
        for name, item in self._file(CHECKLISTS).items():
            place = f"{CHECKLISTS}: {name}"
            if not self.is_table(item, {"title", "sources", "items"}, place):
                continue
            marks = self.texts(item, "sources", place)
            for mark in sorted(set(marks) - sources.keys()):
                self.fault(f"{place}: sources", f"{mark} is not in {SOURCES}")
            rows = [row for row in item.get("items", []) if self.is_table(row, {"item", "text"}, f"{place}: items")]
            pairs = tuple((self.text(row, "item", place), self.text(row, "text", place)) for row in rows)
            if not pairs or len({number for number, _ in pairs}) != len(pairs):
                self.fault(f"{place}: items", "items are needed, and none may be given twice")
            lists[name] = Checklist(self.text(item, "title", place), marks, pairs)
        return lists
