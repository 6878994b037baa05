"""Measuring side by side: our way and the alternative in turns, medians, a table, and JSON under var/bench.

A suite is a list of rows. Each row is a ratio of two medians measured in the same run, in turns, so that whatever else
the machine does falls on both; or, where there is nothing to compare with, one median against a goal.
"""

import argparse
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

ROUNDS = 5
_WHOLE = 100
RESULTS = Path(__file__).parents[1] / "var" / "bench"

type Better = Literal["higher", "lower"]
type Measure = Callable[[], float]
"""Does the work once and gives what was measured, in the row's unit."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    ``goal`` is for the ratio, or for ``ours`` where there is nothing to compare with; ``spread`` is the lowest and
    the highest ratio (or ``ours``) of single rounds.
    """

    name: str
    unit: str
    ours: float
    theirs: float | None
    goal: float
    better: Better
    spread: tuple[float, float]

    @property
    def ratio(self) -> float | None:
        """Ours to theirs."""
        return None if self.theirs is None else self.ours / self.theirs

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        value = self.ours if self.ratio is None else self.ratio
        return value >= self.goal if self.better == "higher" else value <= self.goal

    def to_json(self) -> dict[str, Any]:
        """The row as it stands in the suite's file."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio": self.ratio,
            "goal": self.goal,
            "better": self.better,
            "met": self.is_met,
        }


def side_by_side(
    name: str, unit: str, *, ours: Measure, theirs: Measure, goal: float, better: Better = "higher"
) -> Row:
    """Measure both in turns, `ROUNDS` times, each round beginning with the other one."""
    say(name)
    mine, other = [], []
    for number in range(ROUNDS):
        if number % 2:
            other.append(theirs())
            mine.append(ours())
        else:
            mine.append(ours())
            other.append(theirs())
    return compared(name, unit, mine, other, goal=goal, better=better)


def alone(name: str, unit: str, *, ours: Measure, goal: float, better: Better = "higher", rounds: int = ROUNDS) -> Row:
    """Measure what has no alternative to be compared with."""
    say(name)
    return measured(name, unit, [ours() for _ in range(rounds)], goal=goal, better=better)


def measured(name: str, unit: str, values: Sequence[float], *, goal: float, better: Better) -> Row:
    """Make a row of what single rounds gave that were measured together with others."""
    return Row(name, unit, median(values), None, goal, better, (min(values), max(values)))


def compared(
    name: str, unit: str, ours: Sequence[float], theirs: Sequence[float], *, goal: float, better: Better
) -> Row:
    """Make a row of two series that were measured in the same rounds."""
    ratios = [one / two for one, two in zip(ours, theirs, strict=True)]
    return Row(name, unit, median(ours), median(theirs), goal, better, (min(ratios), max(ratios)))


def say(line: str) -> None:
    """Tell on standard error what is being measured; standard output is for the table."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def machine() -> str:
    """What the numbers were taken on, and how busy it was."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores {names[0] if names else platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


def publish(suite: str, rows: Sequence[Row], *, where: str, fsync: str) -> None:
    """Print the table and write ``var/bench/SUITE.json``.

    Args:
        suite: its name.
        rows: what was measured.
        where: what `machine` said before.
        fsync: whether commits waited for the disk, in words.
    """
    table = Table("what", "unit", "ours", "theirs", "ratio", "rounds", "goal", "met", title=suite)
    for row in rows:
        table.add_row(*_cells(row))
    Console(width=160).print(table, f"{where}\nfsync: {fsync}; medians of {ROUNDS} rounds in turns", sep="\n")
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {"suite": suite, "machine": where, "fsync": fsync, "rows": [row.to_json() for row in rows]}
    (RESULTS / f"{suite}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def parts_chosen(parts: Iterable[str], description: str | None, *, when_named: Iterable[str] = ()) -> list[str]:
    """Read from the command line which parts of a suite to measure; all by default, but for those only when named."""
    usual, known = list(parts), [*parts, *when_named]
    options = argparse.ArgumentParser(description=description)
    options.add_argument("parts", nargs="*", help=f"of {', '.join(known)}; without any: {', '.join(usual)}")
    chosen: list[str] = options.parse_args().parts or usual
    if unknown := set(chosen) - set(known):
        options.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(known)}")
    return chosen


def parts_measure(suite: str, parts: Mapping[str, Callable[[], Iterator[Row]]], *, fsync: str) -> int:
    """Measure the parts of a suite and publish them; one that fails is told of and left out, and the exit code is 1."""
    where, failed = machine(), list[str]()
    rows: list[Row] = []
    for name, measure in parts.items():
        say(f"part {name}")
        try:
            rows += measure()
        except Exception:  # noqa: BLE001 - the other parts are worth having, and the exit code tells
            traceback.print_exc()
            failed.append(name)
    publish(suite, rows, where=where, fsync=fsync)
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _cells(row: Row) -> tuple[str, ...]:
    sign = "≥" if row.better == "higher" else "≤"
    digits = 2 if row.ratio is not None else 0
    return (
        row.name,
        row.unit,
        _number(row.ours),
        "" if row.theirs is None else _number(row.theirs),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.spread[0]:,.{digits}f} to {row.spread[1]:,.{digits}f}",
        f"{sign} {row.goal:,.{digits}f}",
        "yes" if row.is_met else "NO",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
