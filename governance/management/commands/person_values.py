"""`manage.py person_values`: everything that is kept about one person, with the entries that it stands in.

For accountings of disclosures (45 CFR 164.528) and requests of access (GDPR Art. 15). The look is logged.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from governance.management.officer import officer_arguments, officer_given, person_arguments, person_given
from governance.services.privacy import person_account
from modelnotary.errors import ModelNotaryError


class Command(BaseCommand):
    """Print a person's values."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take who asks, about whom and why."""
        officer_arguments(parser)
        person_arguments(parser)
        parser.add_argument("--reason", required=True, help="why it is asked, without naming the person")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Print a line for each value, oldest first."""
        try:
            values = person_account(
                officer=officer_given(options),
                person=person_given(options),
                reason=options["reason"],
                at=timezone.now(),
                tell=lambda rows: self.stderr.write(f"{rows} rows looked at"),
            )
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        for value in values:
            facts = {"event": value.event_id, "name": value.name, "value": value.value}
            self.stdout.write(json.dumps(facts) if options["json"] else " ".join(facts.values()))
        if not options["json"]:
            self.stdout.write(f"{len(values)} values")
