"""A bundle much larger than the memory that its verification may take, through the command line that auditors use.

The whole suite uses one of 192 MiB; ``BUNDLE_MEBIBYTES=1024`` verifies one of a gibibyte.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from large_export import wide_export

from config.embedded import CHECKOUT
from modelnotary.verify.archive import archive_pack

MEBIBYTES = int(os.environ.get("BUNDLE_MEBIBYTES", "192"))
MOST_MEMORY = 160 * 1024 * 1024
# Runs the command, then tells the peak memory of its largest process in bytes, on a line of its own. The system keeps
# the peak that a process had before it became this program, so what it counts for this one is read from elsewhere.
MEASURED = """
import resource, sys
from pathlib import Path
from modelnotary.cli.__main__ import main
try:
    main()
finally:
    own = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    wide_export(folder / "unpacked", MEBIBYTES)
    archive_pack(folder / "packed.zip", folder / "unpacked")
    assert (folder / "packed.zip").stat().st_size > 0.99 * MEBIBYTES * 1024 * 1024 > MOST_MEMORY
    return folder


def verify(path: Path) -> tuple[int, dict[str, object], int]:
    """Exit code, report and peak memory of `modelnotary verify`."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "verify", "--json", str(path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), int(done.stderr.split()[-1])


@pytest.mark.parametrize("form", ["unpacked", "packed.zip"])
def test_a_bundle_larger_than_the_memory_allowed_is_verified_within_it(bundle: Path, form: str) -> None:
    code, report, peak = verify(bundle / form)
    assert code == 0, report
    assert peak < MOST_MEMORY


def test_one_changed_byte_near_the_end_of_a_large_bundle_is_found_within_the_same_memory(bundle: Path) -> None:
    path = bundle / "packed.zip"
    with path.open("r+b") as file:
        file.seek(-200_000, os.SEEK_END)
        [old] = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([old ^ 1]))
    code, report, peak = verify(path)
    assert code == 1, report
    assert peak < MOST_MEMORY
