"""`manage.py decisions_replay [ID...] [--all]`: evaluate decisions again and compare byte for byte with what is stored.

Ends with 1 when one came out otherwise, and says of each what differs first and what evaluated it then.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.models import Decision
from governance.services.replay import Replay, decision_replay


class Command(BaseCommand):
    """Replay decisions."""

    help = "Evaluate decisions again from what is stored with them, and compare byte for byte."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which."""
        parser.add_argument("decisions", nargs="*", metavar="ID", help="ids of decisions")
        parser.add_argument("--all", action="store_true", help="every decision")

    def handle(self, *_: object, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Replay them one by one."""
        named: list[str] = options["decisions"]
        if bool(named) == options["all"]:
            raise CommandError("name decisions, or give --all")
        stored = Decision.objects.select_related("policy_version__policy", "model_version").order_by("id")
        chosen = stored if options["all"] else stored.filter(pk__in=named)
        if unknown := set(named) - set(chosen.values_list("pk", flat=True)):
            raise CommandError(f"no decision {', '.join(sorted(unknown))}")
        results = [decision_replay(decision) for decision in chosen.iterator()]
        for result in results:
            if options["verbosity"] > 1 or not result.is_same:
                self.stdout.write(_line(result))
        same = sum(result.is_same for result in results)
        self.stdout.write(f"{same} of {len(results)} decisions came out byte for byte as they were")
        if same < len(results):
            raise CommandError(f"{len(results) - same} came out otherwise")


def _line(result: Replay) -> str:
    engine = result.engine if result.engine == result.engine_now else f"{result.engine}, now {result.engine_now}"
    return f"{result.decision} ({engine}): {result.difference or 'the same'}"
