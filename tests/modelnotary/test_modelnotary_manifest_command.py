"""`modelnotary manifest` as a person or a pipeline runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelnotary.cli.app import app
from modelnotary.cli.manifest import _Seen
from modelnotary.cli.progress import FilesProgress
from modelnotary.ledger.digest import Digest
from modelnotary.manifest.format import manifest_write
from modelnotary.manifest.taking import Taking, content_digest

TABLE = 'name,age\n"Doe, Jane",31\nRoe,\n'


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "parts").mkdir(parents=True)
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    (folder / "broken.CSV").write_text("a,b\n1\n", encoding="utf-8")
    (folder / "parts" / "one.bin").write_bytes(b"one")
    (folder / "parts" / "ä.bin").write_bytes(b"two")
    return tmp_path


def run(desk: Path, *args: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelnotary.cli", "manifest", *args]
    return subprocess.run(command, cwd=desk, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def test_only_the_digest_goes_to_standard_output(desk: Path) -> None:
    result = run(desk, "data/table.csv")
    assert (result.returncode, result.stdout) == (0, f"{Digest.of(TABLE.encode())}\n")
    assert result.stderr.startswith(f"{len(TABLE)} bytes; 2 rows, 2 columns, schema sha256:")
    result = run(desk, "data")
    assert (result.returncode, result.stdout) == (0, f"{content_digest(desk / 'data')}\n")
    assert result.stderr == (
        "4 files, 41 bytes; 1 table with 2 rows\n"
        "broken.CSV: not a well-formed table: row 1 has 1 cells, the header has 2\n"
    )


def test_json_tells_everything(desk: Path) -> None:
    content = json.loads(run(desk, "data", "--json").stdout)
    assert content["digest"] == content_digest(desk / "data").text
    assert (content["kind"], content["file_count"], content["size"]) == ("folder", 4, 41)
    broken, one, _, table = content["files"]
    assert [file["path"] for file in content["files"]] == ["broken.CSV", "parts/one.bin", "parts/ä.bin", "table.csv"]
    assert broken["table_fault"] == "row 1 has 1 cells, the header has 2"
    assert one == {"path": "parts/one.bin", "size": 3, "sha256": Digest.of(b"one").hex}
    assert (table["table"]["row_count"], table["table"]["format"]) == (2, "csv")
    assert [column["name"] for column in table["table"]["columns"]] == ["name", "age"]
    content = json.loads(run(desk, "data/parts/one.bin", "--json").stdout)
    assert (content["digest"], content["kind"], len(content["files"])) == (Digest.of(b"one").text, "file", 1)


def test_the_manifest_that_is_written_has_the_digest_of_the_folder(desk: Path) -> None:
    result = run(desk, "data", "--output", "data.manifest")
    assert result.stdout.strip() == Digest.of_file(desk / "data.manifest").text
    checked = run(desk, "--check", "data.manifest", "data")
    assert (checked.returncode, checked.stdout) == (
        0,
        f"SAME: all 4 files as in data.manifest, the manifest of {result.stdout}",
    )
    again = run(desk, "data", "--output", "data.manifest")
    assert (again.returncode, again.stdout) == (0, result.stdout)
    assert sorted(path.name for path in desk.iterdir()) == ["data", "data.manifest"]


def test_a_check_names_every_file_that_is_not_as_stated(desk: Path) -> None:
    stated = run(desk, "data", "--output", "data.manifest").stdout.strip()
    (desk / "data" / "parts" / "one.bin").write_bytes(b"One")
    (desk / "data" / "parts" / "ä.bin").rename(desk / "data" / "parts" / "a\N{COMBINING DIAERESIS}.bin")
    (desk / "data" / "broken.CSV").unlink()
    (desk / "data" / "zebra").touch()
    result = run(desk, "--check", "data.manifest", "data")
    assert result.returncode == 1
    assert result.stdout == (
        "missing  broken.CSV\n"
        "new      'parts/a\\u0308.bin'\n"
        "differs  parts/one.bin\n"
        "missing  parts/ä.bin\n"
        "new      zebra\n"
        f"DIFFERENT: 5 not as in data.manifest, the manifest of {stated}\n"
    )
    result = run(desk, "--check", "data.manifest", "data", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout) == {
        "verdict": "different",
        "stated": stated,
        "found": content_digest(desk / "data").text,
        "differs": ["parts/one.bin"],
        "missing": ["broken.CSV", "parts/ä.bin"],
        "new": ["parts/a\N{COMBINING DIAERESIS}.bin", "zebra"],
    }


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nothing"], "No such file"),
        ([], "Missing argument"),
        (["data", "--outptu", "x"], "No such option"),
        (["data", "--output", "data/x"], "would become one of the files"),
        (["data", "--output", "nowhere/x"], "No such file"),
        (["data/table.csv", "--output", "x"], "is a file"),
        (["data/table.csv", "--check", "m"], "is a file"),
        (["data", "--check", "nothing"], "No such file"),
        (["data", "--check", "data/table.csv"], "no manifest of a folder"),
        (["data", "--check", "m", "--output", "x"], "either --check or --output"),
        (["link"], "symbolic link"),
    ],
)
def test_what_cannot_be_carried_out_ends_with_3_and_leaves_nothing(
    desk: Path, args: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "m").write_bytes(manifest_write([("table.csv", Digest.of(b""))]))
    (desk / "link").symlink_to("data")
    before = sorted(desk.rglob("*"))
    monkeypatch.chdir(desk)
    result = CliRunner().invoke(app, ["manifest", *args])
    assert (result.exit_code, result.stdout) == (3, "")
    assert words in result.stderr
    assert sorted(desk.rglob("*")) == before


def test_a_fault_on_the_way_leaves_the_old_manifest(desk: Path) -> None:
    (desk / "m").write_text("old", encoding="utf-8")
    (desk / "data" / "z").symlink_to("nowhere")
    assert run(desk, "data", "--output", "m").returncode == 3
    assert (desk / "m").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in desk.iterdir()) == ["data", "m"]


def test_a_cancelled_command_leaves_nothing_behind(desk: Path) -> None:
    with (desk / "data" / "large.bin").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room, and minutes to read
    # Whoever runs the tests in the background has interrupts ignored, and children would inherit that.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from modelnotary.cli.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, "manifest", "data", "--output", "m"]
    with subprocess.Popen(command, cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not any(path.name.startswith(".m.") for path in desk.iterdir()):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "modelnotary manifest: cancelled"
    assert "Traceback" not in err
    assert sorted(path.name for path in desk.iterdir()) == ["data"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_on_a_terminal_is_a_line_that_vanishes_and_elsewhere_lines(
    *, is_terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    clock = Clock()
    with FilesProgress(sys.stderr, clock) as progress:
        for moment in (0.0, 0.9, 2.0, 5.0, 12.5):
            clock.now = moment
            progress.tell(int(moment * 10), int(moment * 500_000_000))
    shown = capsys.readouterr().err
    assert "20 files, 1,000 MB, 500 MB per second" in shown
    assert ("\n" in shown) is not is_terminal
    assert shown.count("files") == (3 if is_terminal else 2)
    assert shown.endswith(" \r") is is_terminal


def test_many_broken_tables_are_counted_and_some_are_named(tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / f"{number:02}.csv").write_text("a\n1,2\n", encoding="utf-8")
    seen = _Seen()
    for reading in Taking(tmp_path):
        seen.take(reading)
    lines = seen.text(is_folder=True).splitlines()
    assert (len(lines), lines[-1]) == (12, "and 5 more")


def test_a_closed_pipe_is_no_crash(desk: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "modelnotary.cli", "manifest", "data", "--json"]
    with os.fdopen(writer, "wb") as pipe:
        result = subprocess.run(command, cwd=desk, stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=60)
    assert result.returncode != 0
    assert b"Traceback" not in result.stderr
