"""`modelnotary manifest`: identify a model or a data set by its full content, or compare it with a manifest."""

import json
import os
import secrets
import signal
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from modelnotary.cli.usage import USAGE_EXIT

if TYPE_CHECKING:
    from modelnotary.manifest.reading import FileReading
    from modelnotary.manifest.taking import Taking

_DIFFERENT_EXIT = 1
_CANCELLED_EXIT = 128 + signal.SIGINT
_FAULTS_SHOWN = 10


def manifest(
    path: Annotated[Path, typer.Argument(help="A model or a data set: a file or a folder.")],
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare a folder with this manifest, made of it earlier.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a folder's manifest here; its SHA-256 is the digest.")
    ] = None,
    as_json: Annotated[  # noqa: FBT002 -- a flag
        bool, typer.Option("--json", help="Print the result as JSON on standard output.")
    ] = False,
) -> None:
    """Print the digest that identifies a model or a data set by its full content.

    What tables hold, and how far the reading is, goes to standard error. With --check, ends with 0 when the folder is
    what the manifest says, with 1 when a file differs, is missing or is new. Ends with 3 when the command cannot be
    carried out.
    """
    from modelnotary.errors import ModelNotaryError

    if check and output:
        _refuse("give either --check or --output")
    try:
        code = _check(path, check, as_json=as_json) if check else _identify(path, output, as_json=as_json)
    except ModelNotaryError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename or 'standard output'}: {error.strerror}")
    except KeyboardInterrupt:
        typer.echo("modelnotary manifest: cancelled", err=True)
        raise typer.Exit(_CANCELLED_EXIT) from None
    raise typer.Exit(code)


def _identify(path: Path, output: Path | None, *, as_json: bool) -> int:
    seen = _Seen()
    with TemporaryFile("w+", encoding="utf-8") as spool:
        with _reading(path) as taking, closing(_written(taking, path, output)) as readings:
            for reading in readings:
                seen.take(reading)
                if as_json:
                    spool.write(f"{json.dumps(reading.to_json())}\n")
        if as_json:
            spool.seek(0)
            _json_write(taking, spool)
        else:
            typer.echo(taking.digest.text)
    typer.echo(seen.text(is_folder=taking.is_folder), err=True)
    return 0


def _check(path: Path, manifest_file: Path, *, as_json: bool) -> int:
    from modelnotary.manifest.comparison import Comparison, Difference
    from modelnotary.manifest.names import shown

    with manifest_file.open("rb") as file, _reading(path) as taking:
        if not taking.is_folder:
            _refuse(f"{path} is a file; its identity is its SHA-256 alone, and a manifest speaks of a folder")
        comparison = Comparison(file, taking)
        found = list(comparison)
    if as_json:
        named = {kind.value: [name for other, name in found if other is kind] for kind in Difference}
        digests = {"stated": comparison.stated.text, "found": taking.digest.text}
        typer.echo(json.dumps({"verdict": "different" if found else "same", **digests, **named}, indent=2))
    else:
        for kind, name in found:
            typer.echo(f"{kind.value:8} {shown(name)}")
        verdict = f"DIFFERENT: {len(found):,} not as" if found else f"SAME: all {taking.file_count:,} files as"
        typer.echo(f"{verdict} in {manifest_file}, the manifest of {comparison.stated}")
    return _DIFFERENT_EXIT if found else 0


@contextmanager
def _reading(path: Path) -> Iterator["Taking"]:
    from modelnotary.cli.progress import FilesProgress
    from modelnotary.manifest.taking import Taking

    with FilesProgress(sys.stderr) as progress:
        yield Taking(path, progress=progress.tell)


def _written(taking: "Taking", path: Path, output: Path | None) -> Generator["FileReading"]:
    """Pass readings on, and write their manifest as a whole or not at all."""
    from modelnotary.manifest.format import HEADER, line_write

    if output is None:
        yield from taking
        return
    if not taking.is_folder:
        _refuse(f"{path} is a file; its identity is its SHA-256 alone, and there is no manifest to write")
    if output.resolve().is_relative_to(path.resolve()):
        _refuse(f"{output} would become one of the files of {path}; write it elsewhere")
    fresh = output.with_name(f".{output.name}.{secrets.token_hex(8)}")
    try:
        with fresh.open("xb") as file:
            file.write(HEADER)
            for reading in taking:
                file.write(line_write(reading.entry.path, reading.entry.digest))
                yield reading
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(output)
    finally:
        fresh.unlink(missing_ok=True)


def _json_write(taking: "Taking", lines: Iterable[str]) -> None:
    """Write one object, without holding a million files in memory."""
    head = {
        "digest": taking.digest.text,
        "kind": "folder" if taking.is_folder else "file",
        "file_count": taking.file_count,
        "size": taking.size,
    }
    typer.echo(json.dumps(head).removesuffix("}") + ', "files": [', nl=False)
    separator = ""
    for line in lines:
        typer.echo(f"{separator}{line.rstrip()}", nl=False)
        separator = ", "
    typer.echo("]}")


class _Seen:
    """What to tell a person about the files and the tables that were read."""

    def __init__(self) -> None:
        self._files = self._size = self._tables = self._rows = self._fault_count = 0
        self._schema = ""
        self._faults: list[str] = []

    def take(self, reading: "FileReading") -> None:
        from modelnotary.manifest.names import shown

        self._files += 1
        self._size += reading.entry.size
        if reading.table is not None:
            self._tables += 1
            self._rows += reading.table.row_count
            self._schema = f"{_count(len(reading.table.columns), 'column')}, schema {reading.table.schema_digest}"
        elif reading.table_fault:
            self._fault_count += 1
            if len(self._faults) < _FAULTS_SHOWN:
                name = f"{shown(reading.entry.path)}: " if reading.entry.path else ""
                self._faults.append(f"{name}not a well-formed table: {reading.table_fault}")

    def text(self, *, is_folder: bool) -> str:
        """Give the lines."""
        line = f"{_count(self._files, 'file')}, {self._size:,} bytes" if is_folder else f"{self._size:,} bytes"
        if self._tables:
            line += f"; {_count(self._tables, 'table')} with" if is_folder else ";"
            line += f" {_count(self._rows, 'row')}" + ("" if is_folder else f", {self._schema}")
        more = self._fault_count - len(self._faults)
        return "\n".join([line, *self._faults, *([f"and {more:,} more"] if more else [])])


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _refuse(words: str) -> NoReturn:
    typer.echo(f"modelnotary manifest: {words}", err=True)
    raise typer.Exit(USAGE_EXIT)
