"""The identity of models and data sets by their full content."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelnotary.ledger.digest import Digest
from modelnotary.manifest import ManifestError, manifest_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "weights").mkdir(parents=True)
    (root / "weights" / "part-1.bin").write_bytes(b"one" * 1_000_000)
    (root / "config.json").write_bytes(b"{}")
    (root / "weights.txt").write_bytes(b"")
    (root / "ä.txt").write_bytes(b"umlaut")
    return root


def test_a_file_is_its_bytes(folder: Path) -> None:
    manifest = manifest_of(folder / "config.json")
    assert (manifest.digest, manifest.size) == (Digest.of(b"{}"), 2)


def test_a_folder_is_the_sorted_list_of_its_files(folder: Path) -> None:
    expected = [
        {"path": "config.json", "sha256": hashlib.sha256(b"{}").hexdigest(), "size": 2},
        {"path": "weights.txt", "sha256": hashlib.sha256(b"").hexdigest(), "size": 0},
        {"path": "weights/part-1.bin", "sha256": hashlib.sha256(b"one" * 1_000_000).hexdigest(), "size": 3_000_000},
        {"path": "ä.txt", "sha256": hashlib.sha256(b"umlaut").hexdigest(), "size": 6},
    ]
    text = json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()
    manifest = manifest_of(folder)
    assert manifest.to_bytes() == text
    assert manifest.digest.hex == hashlib.sha256(text).hexdigest()
    assert manifest.size == 3_000_008


SAME: dict[str, Callable[[Path], object]] = {
    "another place": lambda root: root.rename(root.with_name("elsewhere")).rename(root),
    "other permissions": lambda root: (root / "config.json").chmod(0o600),
    "another time": lambda root: os.utime(root / "config.json", (1, 1)),
    "an empty folder more": lambda root: (root / "empty").mkdir(),
}
DIFFERENT: dict[str, Callable[[Path], object]] = {
    "a changed byte": lambda root: (root / "config.json").write_bytes(b"[]"),
    "a file more": lambda root: (root / "more").write_bytes(b""),
    "a file less": lambda root: (root / "weights.txt").unlink(),
    "a renamed file": lambda root: (root / "weights.txt").rename(root / "weights.md"),
    "a moved file": lambda root: (root / "weights.txt").rename(root / "weights" / "weights.txt"),
    "content moved between files": lambda root: (
        (root / "weights.txt").write_bytes(b"{}") + (root / "config.json").write_bytes(b"")
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_not_content_does_not_count(case: str, folder: Path) -> None:
    before = manifest_of(folder).digest
    SAME[case](folder)
    assert manifest_of(folder).digest == before


@pytest.mark.parametrize("case", DIFFERENT)
def test_every_change_of_content_changes_the_digest(case: str, folder: Path) -> None:
    before = manifest_of(folder).digest
    DIFFERENT[case](folder)
    assert manifest_of(folder).digest != before


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link to a file": (lambda root: (root / "link").symlink_to(root / "config.json"), "symbolic link"),
    "a link to a folder": (lambda root: (root / "link").symlink_to(root / "weights"), "symbolic link"),
    "a broken link": (lambda root: (root / "link").symlink_to("nowhere"), "symbolic link"),
    "a pipe": (lambda root: os.mkfifo(root / "pipe"), "special file"),
    "a name that is not text": (lambda root: Path(os.fsdecode(os.fsencode(root) + b"/\xff")).touch(), "UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_content_of_its_own_is_refused(case: str, folder: Path) -> None:
    add, message = REFUSED[case]
    add(folder)
    with pytest.raises(ManifestError, match=message):
        manifest_of(folder)


def test_a_link_itself_cannot_be_identified(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(ManifestError, match="symbolic link"):
        manifest_of(link)


def test_a_folder_without_files_or_nothing_at_all_cannot_be_identified(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="holds no files"):
        manifest_of(tmp_path / "empty")
    with pytest.raises(ManifestError, match="No such file"):
        manifest_of(tmp_path / "nothing")
