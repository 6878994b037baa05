"""`manage.py retention_schedule request|approve|list`: say, by two privacy officers, how long entries are kept.

A longer period counts at once. A shorter one, and the first one of a class, count 30 days after their approval.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.enums import Log, RetentionBasis
from audit.retention import RetentionRequest, RetentionSchedule, retention_requests, retention_schedules
from governance.management.officer import officer_arguments, officer_given
from governance.services.privacy import retention_schedule_approve, retention_schedule_request
from modelnotary.errors import ModelNotaryError
from modelnotary.times import format_time


class Command(BaseCommand):
    """Ask for, approve or list retention schedules."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the step and what belongs to it."""
        steps = parser.add_subparsers(dest="step", required=True)
        request, approve, listing = steps.add_parser("request"), steps.add_parser("approve"), steps.add_parser("list")
        request.add_argument("log", choices=Log.values, help="the class of logs")
        request.add_argument("--days", type=int, required=True, help="days after an entry's time")
        request.add_argument(
            "--basis", required=True, action="append", choices=RetentionBasis.values, help="a rule it follows"
        )
        request.add_argument("--reason", required=True, help="why")
        approve.add_argument("request", metavar="ID")
        for step in (request, approve):
            officer_arguments(step)
        for step in (request, approve, listing):
            step.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Do the step and print what it came to."""
        try:
            found = _step(options)
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        for item in found:
            self.stdout.write(json.dumps(_facts(item)) if options["json"] else _words(item))


def _step(options: dict[str, Any]) -> list[RetentionRequest | RetentionSchedule]:
    at = timezone.now()
    if options["step"] == "list":
        return [*retention_schedules(), *retention_requests(at=at)]
    officer = officer_given(options)
    if options["step"] == "approve":
        return [retention_schedule_approve(officer=officer, request_id=options["request"], at=at)]
    bases = [RetentionBasis(basis) for basis in options["basis"]]
    log, days, reason = Log(options["log"]), options["days"], options["reason"]
    return [retention_schedule_request(officer=officer, log=log, keep_days=days, bases=bases, reason=reason, at=at)]


def _facts(item: RetentionRequest | RetentionSchedule) -> dict[str, Any]:
    facts = {"log": item.log.value, "keep_days": item.keep_days, "at": format_time(item.at)}
    if isinstance(item, RetentionSchedule):
        return facts | {"state": "approved", "request": item.request, "event": item.event_id}
    bases = [basis.value for basis in item.bases]
    return facts | {"state": "requested", "request": item.id, "bases": bases, "by": item.actor.id}


def _words(item: RetentionRequest | RetentionSchedule) -> str:
    what = f"entries of the class {item.log.value} are kept for {item.keep_days} days"
    if isinstance(item, RetentionSchedule):
        return f"{item.event_id}: {what}, approved at {item.at:%Y-%m-%d %H:%M} UTC"
    return f"{item.id}: {what}, asked for by {item.actor.name}, waits for a second privacy officer"
