"""`manage.py anchor_now [--json]`: publish the newest checkpoints at every anchor now, and tell how far each is."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.anchoring import AnchorLag, Publication, anchor_lags, anchors_configured, anchors_update
from modelnotary.errors import ModelNotaryError
from modelnotary.times import format_time


class Command(BaseCommand):
    """Publish what waits. Ends with 1 when something could not be published."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the form of the output."""
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Publish and report."""
        try:
            anchors = anchors_configured()
            published = anchors_update(anchors=anchors, at=timezone.now())
            lags = anchor_lags(anchors=anchors)
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"published": [asdict(item) for item in published], "lags": _lags(lags)}))
        else:
            self.stdout.write("\n".join([*map(_line, published), *map(_state, lags)]) or "ANCHORS lists no place")
        faults = sum(item.fault is not None for item in published)
        if faults:
            raise CommandError(f"{faults} of {len(published)} checkpoints could not be published")


def _line(item: Publication) -> str:
    what = f"{item.log} at {item.size} entries"
    if item.fault:
        return f"NOT PUBLISHED  {what}, {item.kind} {item.location}: {item.fault}"
    return f"published  {what}, {item.kind} {item.location}"


def _state(lag: AnchorLag) -> str:
    behind = f"{lag.entries} entries behind" if lag.since else "up to date"
    return f"{behind}: {lag.log}, {lag.kind} {lag.location}"


def _lags(lags: list[AnchorLag]) -> list[dict[str, Any]]:
    return [asdict(lag) | {"since": format_time(lag.since) if lag.since else None} for lag in lags]
