from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.platypus import Flowable


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered section of the report: its title and what stands below it."""

    title: str
    flowables: Sequence[Flowable]
