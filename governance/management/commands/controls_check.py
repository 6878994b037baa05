"""`manage.py controls_check [--as-of DAY]`: hold the files of the control catalogue against each other.

Prints its version, its digest, and how many controls stand how on a day. Ends with 1 and names every fault by file,
control and field when the files cannot be used.
"""

from argparse import ArgumentParser
from collections import Counter
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from governance.controls.catalogue import catalogue_at
from governance.controls.errors import ControlsError
from governance.controls.reading import installed_texts, read_catalogue


class Command(BaseCommand):
    """Check the control catalogue."""

    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the day."""
        parser.add_argument("--as-of", type=date.fromisoformat, help="a day such as 2026-04-17; today when left out")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Read the files and say what they hold."""
        as_of = options["as_of"] or timezone.now().date()
        try:
            catalogue = read_catalogue(installed_texts())
            standings = catalogue_at(catalogue, as_of)
        except ControlsError as error:
            raise CommandError("\n".join(map(str, error.faults))) from error
        trust = Counter(control.trust for control in catalogue.controls)
        self.stdout.write(f"version     {catalogue.version}")
        self.stdout.write(f"digest      {catalogue.digest}")
        self.stdout.write(f"checked on  {catalogue.checked_on}, covers {catalogue.covers_from} and later")
        self.stdout.write(f"controls    {len(catalogue.controls)} of {len(catalogue.frameworks)} frameworks")
        self.stdout.write(f"sources     {', '.join(f'{count} {mark.words}' for mark, count in sorted(trust.items()))}")
        for words, count in sorted(Counter(standing.words for standing in standings).items()):
            self.stdout.write(f"{as_of}  {count:4} {words}")
        if as_of > catalogue.checked_on:
            self.stdout.write(f"What changed after {catalogue.checked_on} is not in here.")
        self.stdout.write("faults      none")
