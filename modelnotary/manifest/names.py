"""Names of files: which a manifest can hold, which look alike elsewhere, and how they are shown."""

import re
import unicodedata

# What sha256sum would have to escape, and what would upset the terminal that shows it.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\\]")


def name_fault(name: bytes) -> str:
    """Tell why a file or a folder of this name can have no line in a manifest; empty if it can."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return "its name is not UTF-8 text; rename it"
    if _UNWRITABLE.search(text):
        return "its name holds a control character or a backslash; rename it"
    return ""


def folded(name: str) -> str:
    """One spelling for all names that are canonical caseless matches (The Unicode Standard, section 3.13, D145)."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def shown(name: str) -> str:
    """A name for people: as it is, or escaped where it would confuse a terminal or look like another name."""
    return name if name.isprintable() and unicodedata.is_normalized("NFC", name) else ascii(name)
