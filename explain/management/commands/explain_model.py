"""`manage.py explain_model MODEL TABLE ...`: explain a model on a table, without registering anything."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from modelnotary.errors import ModelNotaryError


class Command(BaseCommand):
    """Explain an XGBoost model on a CSV or Parquet file."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the model, the table, and what to explain against."""
        parser.add_argument("model", type=Path, help="XGBoost model, JSON or UBJSON")
        parser.add_argument("table", type=Path, help="CSV or Parquet file with a column for each feature")
        parser.add_argument("--background", type=Path, metavar="TABLE", help="explain against these rows")
        parser.add_argument("--output", choices=("margin", "probability"), default="margin", help="space to add up in")
        parser.add_argument(
            "--encoding", type=Path, metavar="FILE", help="JSON: for each column of words, word: number"
        )
        parser.add_argument("--json", action="store_true", help="write the whole explanation as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Write the explanation to standard output."""
        from explain.isolation import run_isolated

        parameters = {"output": options["output"], "encoding": _encoding(options["encoding"])}
        try:
            explanation = run_isolated(
                "explanation",
                options["model"],
                options["table"],
                parameters,
                background_path=options["background"],
            )
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(explanation, indent=2) if options["json"] else _summary(explanation))


def _encoding(path: Path | None) -> object:
    if path is None:
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"--encoding {path}: {error}") from error


def _summary(explanation: Mapping[str, Any]) -> str:
    features = [
        f"{entry['feature']}: {entry['mean_abs']:.6g} (95 % {entry['low']:.6g} to {entry['high']:.6g})"
        for entry in explanation["global_importance"]
    ]
    checks = (
        f"{explanation['rows']} rows in {explanation['output_space']} space; "
        f"largest additivity error {explanation['additivity_max_error']:.3g}"
    )
    return "\n".join([*features, checks])
