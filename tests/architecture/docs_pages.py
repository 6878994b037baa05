"""The pages of the documentation, taken apart."""

import re
from dataclasses import dataclass
from pathlib import Path

from config.embedded import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = sorted([*CHECKOUT.glob("*.md"), *DOCS.rglob("*.md"), *(CHECKOUT / "examples").rglob("*.md")])

_FENCE = re.compile(
    r"(?:<!-- (?P<mark>[^>]+) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page, and the comment that marks it."""

    mark: str
    language: str
    body: str


def fences(page: Path) -> list[Fence]:
    return [
        Fence(found["mark"] or "", found["language"], found["body"])
        for found in _FENCE.finditer(page.read_text(encoding="utf-8"))
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def spans(page: Path) -> list[str]:
    """What a page sets in code within its sentences."""
    return _SPAN.findall(prose(page))


def shell_script(page: Path) -> str:
    """All shell blocks of a page, one after the other."""
    return "\n".join(fence.body for fence in fences(page) if fence.language == "sh")
