"""Public test vectors of other implementations, read from beside the repository when they are there."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "vectors"
needs_vectors = pytest.mark.skipif(not FOLDER.is_dir(), reason="the public vector files are not beside the repository")


def load(name: str) -> Any:
    path = FOLDER / name
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def unbase64(text: str | None) -> bytes:
    return b64decode(text or "")
