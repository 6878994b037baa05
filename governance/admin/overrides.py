"""Overrides in force, which every page of the admin says first, and those of one decision."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from governance.admin.base import may_look
from governance.admin.cells import link, moment, record_address, stack
from governance.admin.sections import Section, Table
from governance.models import Decision, Override
from governance.selectors.exceptions import overrides_in_force
from governance.selectors.gate import override_words


@dataclass(frozen=True, slots=True)
class Banner:
    """One override in force: what is said of it, and where it is."""

    words: str
    address: str


def overrides_banner(request: HttpRequest) -> dict[str, object]:
    """Give templates what is overridden now. It is read only where a page shows it, and by who may read pages."""

    def banners() -> list[Banner]:
        if not may_look(request):
            return []
        return [Banner(override_words(item), record_address(item)) for item in overrides_in_force(at=timezone.now())]

    return {"overrides_banner": SimpleLazyObject(banners)}


def overrides_section(decision: Decision) -> tuple[Section, ...]:
    """Show the overrides of a decision, if anybody asked for one."""
    asked: list[Override] = list(decision.overrides.select_related("requested_by").prefetch_related("steps__by"))
    if not asked:
        return ()
    return (
        Table(
            title="Overrides",
            note="The denial stays what it is.",
            columns=("Override", "Requested by", "Reason", "Ends", "What became of it"),
            rows=tuple(
                (
                    link(item, item.id),
                    item.requested_by.printed_name,
                    item.reason,
                    moment(item.expires_at),
                    stack(f"{step.get_kind_display()} by {step.by.printed_name}" for step in item.steps.all()),
                )
                for item in asked
            ),
        ),
    )
