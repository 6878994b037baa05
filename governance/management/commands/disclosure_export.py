"""`manage.py disclosure_export OUTPUT`: entries about one person, proven, with what opens their commitments.

`modelnotary verify OUTPUT` checks the file offline. It opens what was chosen and nothing else. The export is logged.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from governance.management.officer import officer_arguments, officer_given, person_arguments, person_given
from governance.services.privacy import person_disclose
from modelnotary.errors import ModelNotaryError


class Command(BaseCommand):
    """Write a disclosure file."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take who asks, about whom, why, and what is in scope."""
        parser.add_argument("output", type=Path, help="a new file, by custom with the ending .disclosure")
        officer_arguments(parser)
        person_arguments(parser)
        parser.add_argument("--reason", required=True, help="why it is disclosed, without naming the person")
        parser.add_argument("--event", action="append", default=[], help="an entry in scope; all when absent")
        parser.add_argument("--name", action="append", default=[], help="a field in scope; all when absent")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Write the file, which must not be there yet."""
        try:
            disclosure = person_disclose(
                officer=officer_given(options),
                person=person_given(options),
                reason=options["reason"],
                events=frozenset(options["event"]),
                names=frozenset(options["name"]),
                at=timezone.now(),
            )
            with options["output"].open("xb") as file:
                file.write(disclosure.to_bytes())
        except (ModelNotaryError, OSError) as error:
            raise CommandError(str(error)) from error
        openings = sum(len(entry.openings) for entry in disclosure.entries)
        if options["json"]:
            self.stdout.write(json.dumps({"entries": len(disclosure.entries), "openings": openings}))
        else:
            self.stdout.write(f"{len(disclosure.entries)} entries with {openings} values in {options['output']}")
