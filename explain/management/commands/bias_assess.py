"""`manage.py bias_assess TABLE ...`: compare finished predictions between groups, without registering anything."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from modelnotary.errors import ModelNotaryError


class Command(BaseCommand):
    """Assess the predictions in a CSV or Parquet file."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the table and the columns that matter."""
        parser.add_argument("table", type=Path, help="CSV or Parquet file")
        parser.add_argument("--label", required=True, metavar="COL", help="actual outcome, two values")
        parser.add_argument("--prediction", required=True, metavar="COL", help="predicted outcome, same two values")
        parser.add_argument("--sensitive", required=True, nargs="+", metavar="COL", help="columns of groups")
        parser.add_argument("--score", metavar="COL", help="number that speaks for the outcome yes, true or 1")
        parser.add_argument(
            "--reference", action="append", default=[], metavar="COL=VALUE", help="fixed reference group of a column"
        )
        parser.add_argument("--favourable", metavar="VALUE", help="outcome a person hopes for (default: yes, true, 1)")
        parser.add_argument("--json", action="store_true", help="write the whole assessment as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Write the assessment to standard output."""
        from explain.assessment import predictions_run

        chosen = ("label", "prediction", "sensitive", "score", "favourable")
        parameters = {name: options[name] for name in chosen if options[name] is not None}
        parameters["reference"] = dict(map(_column_and_group, options["reference"]))
        try:
            assessment = predictions_run(options["table"], parameters)
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(assessment, indent=2) if options["json"] else _summary(assessment))


def _column_and_group(text: str) -> tuple[str, str]:
    column, equals, group = text.partition("=")
    if not equals:
        raise CommandError(f"--reference {text}: write COL=VALUE")
    return column, group


def _summary(assessment: Mapping[str, Any]) -> str:
    groups = [
        f"{group['column']} = {group['group']}: n = {group['n']}, selection rate {group['selection_rate']:.4f} "
        f"(95 % {group['selection_rate_low']:.4f} to {group['selection_rate_high']:.4f})"
        for group in assessment["groups"]
    ]
    criteria = [
        f"{entry['column']}: {entry['metric']}: {entry['verdict']}. {entry['reason']}"
        for entry in assessment["criteria"]
        if entry["line"] is not None
    ]
    return "\n".join([*groups, *criteria, f"verdict: {assessment['verdict']}"])
