"""The smallest things on a page: a digest, a moment, a state, a link. Each is safe HTML."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from modelnotary.times import format_time

type Cell = SafeString | str | int | None
"""What a fact or a column of a table shows; None shows as a dash."""

NOTHING = SafeString('<span class="mn-none" aria-label="none">—</span>')
_SHORTENED_OVER = 30
_SHOWN_HEAD, _SHOWN_TAIL = 17, 8
_SMALL = 1e-3
_DEEPEST = 8
_LONGEST_LIST = 100

# State -> colour and symbol: what a state means is never said by colour alone.
_LOOKS = {
    "passed": ("good", "check_circle"),
    "pass": ("good", "check_circle"),
    "approved": ("good", "check_circle"),
    "approve": ("good", "check_circle"),
    "allowed": ("good", "check_circle"),
    "succeeded": ("good", "check_circle"),
    "failed": ("bad", "cancel"),
    "fail": ("bad", "cancel"),
    "rejected": ("bad", "cancel"),
    "reject": ("bad", "cancel"),
    "denied": ("bad", "block"),
    "error": ("bad", "error"),
    "expired": ("plain", "timer_off"),
    "revoked": ("bad", "undo"),
    "superseded": ("plain", "update"),
    "waived": ("waiting", "gavel"),
    "in_progress": ("waiting", "construction"),
    "remediated": ("waiting", "build_circle"),
    "closed": ("good", "check_circle"),
    "risk_accepted": ("plain", "handshake"),
    "severity_low": ("plain", "arrow_downward"),
    "severity_medium": ("waiting", "drag_handle"),
    "severity_high": ("bad", "arrow_upward"),
    "severity_critical": ("bad", "emergency"),
    "pending": ("waiting", "hourglass_top"),
    "open": ("waiting", "hourglass_top"),
    "published": ("good", "check_circle"),
    "withdrawn": ("plain", "undo"),
    "requested": ("waiting", "hourglass_top"),
    "erased": ("good", "check_circle"),
    "cancelled": ("plain", "do_not_disturb_on"),
    "held": ("waiting", "lock"),
    "released": ("plain", "lock_open"),
    "queued": ("waiting", "schedule"),
    "running": ("waiting", "sync"),
    "insufficient_data": ("waiting", "help"),
    "evidence_missing": ("waiting", "unknown_document"),
    "not_applicable": ("plain", "block"),
    "trust_P": ("plain", "menu_book"),
    "trust_S": ("plain", "link"),
    "trust_M": ("waiting", "psychology_alt"),
    "phi": ("waiting", "health_and_safety"),
}


def badge(state: str, words: str) -> SafeString:
    """Show a state as a coloured label with a symbol and its words."""
    tone, symbol = _LOOKS.get(state, ("plain", "info"))
    return format_html(
        '<span class="mn-badge mn-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        tone,
        symbol,
        words,
    )


def code(text: str | None) -> SafeString:
    """Show a digest or an identifier in full when short, else without its middle, with a button that copies it all."""
    if not text:
        return NOTHING
    shown = text if len(text) <= _SHORTENED_OVER else f"{text[:_SHOWN_HEAD]}…{text[-_SHOWN_TAIL:]}"
    return _copyable(text, shown, "mn-code")


def whole(text: str | None) -> SafeString:
    """Show a digest in full, with a button that copies it."""
    return _copyable(text, text, "mn-code mn-whole") if text else NOTHING


def command(text: str) -> SafeString:
    """Show a command line, with a button that copies it."""
    return _copyable(text, text, "mn-command")


def _copyable(text: str, shown: str, kind: str) -> SafeString:
    return format_html(
        '<span class="{}"><code title="{}">{}</code>'
        '<button type="button" class="mn-copy" data-copy="{}" title="Copy" aria-label="Copy {}">'
        '<span class="material-symbols-outlined" aria-hidden="true">content_copy</span></button></span>',
        kind,
        text,
        shown,
        text,
        text,
    )


def moment(at: datetime | None) -> SafeString:
    """Show a time in UTC; the page's script adds the reader's own time as a hint."""
    if at is None:
        return NOTHING
    shown = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return format_html('<time class="mn-time" datetime="{}">{}</time>', format_time(at), shown)


def link(record: Model | None, words: str | None = None) -> SafeString:
    """Lead to the page of a record."""
    if record is None:
        return NOTHING
    return anchor(record_address(record), words or str(record))


def anchor(address: str, words: str) -> SafeString:
    """Lead to an address."""
    return format_html('<a class="mn-link" href="{}">{}</a>', address, words)


def record_address(record: Model, page: str = "change") -> str:
    """Give the address of one of a record's pages."""
    options = record._meta  # noqa: SLF001 - Django's own way to a model's names
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=[record.pk])


def number(value: object) -> str:
    """Write a measured number with four decimals, a small one by its two leading digits, a count in thousands."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if value and abs(value) < _SMALL:
        return f"{value:.1e}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def measured(value: object) -> SafeString:
    """Show a number on one line."""
    return format_html('<span class="mn-num">{}</span>', number(value))


def interval(value: object, low: object, high: object) -> SafeString:
    """Write an estimate with the two ends of its interval."""
    if value is None:
        return NOTHING
    shown = measured(_estimate(value))
    if low is None or high is None:
        return shown
    return format_html('{} <span class="mn-interval">{} to {}</span>', shown, _estimate(low), _estimate(high))


def _estimate(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) and abs(value) >= _SMALL else number(value)


def stack(cells: Iterable[Cell]) -> SafeString:
    """Put several things below each other in one cell."""
    return format_html_join("", '<span class="mn-line">{}</span>', ((cell,) for cell in cells))


def strong(words: str) -> SafeString:
    """Show words that must not be overlooked."""
    return format_html("<strong>{}</strong>", words)


def sentence(words: str) -> str:
    """Make a sentence of words that have no capital and no stop."""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def nested(value: object, depth: int = 0) -> Cell:
    """Lay out JSON for reading: names beside their values, lists below each other."""
    if isinstance(value, (Mapping, list)) and depth >= _DEEPEST:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, list):
        return _list(value, depth)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return code(value) if value.startswith("sha256:") else value or NOTHING
    return NOTHING if value is None else str(value)


def _mapping(value: Mapping[str, Any], depth: int) -> SafeString:
    if not value:
        return NOTHING
    rows = ((name.replace("_", " "), nested(item, depth + 1)) for name, item in value.items())
    return format_html('<dl class="mn-nested">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))


def _list(value: list[Any], depth: int) -> SafeString:
    if not value:
        return NOTHING
    shown = [nested(item, depth + 1) for item in value[:_LONGEST_LIST]]
    if len(value) > _LONGEST_LIST:
        shown.append(f"and {len(value) - _LONGEST_LIST:,} more")
    if any(isinstance(item, (Mapping, list)) for item in value):
        return stack(shown)
    return format_html_join(", ", "{}", ((item,) for item in shown))
