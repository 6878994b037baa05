"""`manage.py legal_hold set|release|list`: forbid that a person be forgotten or a log be pruned, until it is released.

A hold is on a person, whose identifier is asked for, or with --log on a whole log.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.enums import Log
from audit.models import LegalHold
from governance.management.officer import officer_arguments, officer_given, person_arguments, person_given
from governance.services.privacy import legal_hold_release, legal_hold_set, order_digest
from modelnotary.errors import ModelNotaryError
from modelnotary.times import format_time


class Command(BaseCommand):
    """Set, release or list legal holds."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the step and what belongs to it."""
        steps = parser.add_subparsers(dest="step", required=True)
        setting, releasing, listing = steps.add_parser("set"), steps.add_parser("release"), steps.add_parser("list")
        setting.add_argument("--matter", required=True, help="the number of the matter or case")
        setting.add_argument("--log", choices=Log.values, help="the log that is held; else it is a person")
        person_arguments(setting)
        releasing.add_argument("hold", metavar="ID")
        for step in (setting, releasing):
            step.add_argument("--reason", required=True, help="why, without naming the person")
            officer_arguments(step)
        for step in (setting, releasing, listing):
            step.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Do the step and print the hold as it is now."""
        try:
            holds = list(LegalHold.objects.all()) if options["step"] == "list" else [self._step(options)]
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        for hold in holds:
            self.stdout.write(json.dumps(_facts(hold)) if options["json"] else _words(hold))

    def _step(self, options: dict[str, Any]) -> LegalHold:
        at = timezone.now()
        if options["step"] == "release":
            hold = LegalHold.objects.filter(pk=options["hold"]).first()
            if hold is None:
                raise CommandError(f"no legal hold {options['hold']}")
            self.stderr.write(f"{_words(hold)}: {hold.reason}")
            officer, shown = officer_given(options), order_digest(hold)
            return legal_hold_release(officer=officer, hold=hold, shown=shown, reason=options["reason"], at=at)
        officer, log = officer_given(options), Log(options["log"]) if options["log"] else None
        person = person_given(options) if log is None else None
        matter, reason = options["matter"], options["reason"]
        return legal_hold_set(officer=officer, person=person, log=log, matter=matter, reason=reason, at=at)


def _facts(hold: LegalHold) -> dict[str, str | None]:
    return {
        "id": hold.pk,
        "scope": hold.scope,
        "log": hold.log,
        "matter": hold.matter,
        "set_by": hold.set_by,
        "set_at": format_time(hold.set_at),
        "released_by": hold.released_by,
        "released_at": None if hold.released_at is None else format_time(hold.released_at),
    }


def _words(hold: LegalHold) -> str:
    on = "one person" if hold.log is None else f"the log {hold.log}"
    state = "in force" if hold.released_at is None else f"released {hold.released_at:%Y-%m-%d %H:%M} UTC"
    return f"{hold.pk}: on {on}, matter {hold.matter}, {state}"
