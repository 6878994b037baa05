"""`manage.py privacy_erase request|approve|cancel|list`: order, by two privacy officers, that a person be forgotten.

An approved order is carried out by `manage.py subject_keys_rotate`. The identifier and the password are asked for.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.enums import ErasureBasis
from audit.models import Erasure
from governance.management.officer import officer_arguments, officer_given, person_arguments, person_given
from governance.services.privacy import (
    order_digest,
    person_erasure_approve,
    person_erasure_cancel,
    person_erasure_request,
)
from modelnotary.errors import ModelNotaryError
from modelnotary.times import format_time


class Command(BaseCommand):
    """Ask for, approve, cancel or list erasures."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the step and what belongs to it."""
        steps = parser.add_subparsers(dest="step", required=True)
        request, approve = steps.add_parser("request"), steps.add_parser("approve")
        cancel, listing = steps.add_parser("cancel"), steps.add_parser("list")
        request.add_argument("--basis", required=True, choices=ErasureBasis.values, help="the law it rests on")
        for step in (approve, cancel):
            step.add_argument("erasure", metavar="ID")
        for step in (request, cancel):
            step.add_argument("--reason", required=True, help="why, without naming the person")
        for step in (request, approve):
            person_arguments(step)
        for step in (request, approve, cancel):
            officer_arguments(step)
        for step in (request, approve, cancel, listing):
            step.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Do the step and print the order as it is now."""
        try:
            orders = list(Erasure.objects.all()) if options["step"] == "list" else [self._step(options)]
        except ModelNotaryError as error:
            raise CommandError(str(error)) from error
        for order in orders:
            self.stdout.write(json.dumps(_facts(order)) if options["json"] else _words(order))

    def _step(self, options: dict[str, Any]) -> Erasure:
        at = timezone.now()
        if options["step"] == "request":
            officer, person, basis = officer_given(options), person_given(options), ErasureBasis(options["basis"])
            return person_erasure_request(officer=officer, person=person, basis=basis, reason=options["reason"], at=at)
        erasure = Erasure.objects.filter(pk=options["erasure"]).first()
        if erasure is None:
            raise CommandError(f"no erasure {options['erasure']}")
        # What is approved is what was read: the order goes before the questions, and its digest with the step.
        self.stderr.write(f"{_words(erasure)}, {erasure.requested_at:%Y-%m-%d %H:%M} UTC: {erasure.reason}")
        officer, shown = officer_given(options), order_digest(erasure)
        if options["step"] == "approve":
            person = person_given(options)
            return person_erasure_approve(officer=officer, erasure=erasure, shown=shown, person=person, at=at)
        return person_erasure_cancel(officer=officer, erasure=erasure, shown=shown, reason=options["reason"], at=at)


def _facts(order: Erasure) -> dict[str, str | None]:
    return {
        "id": order.pk,
        "state": order.state,
        "basis": order.basis,
        "requested_by": order.requested_by,
        "requested_at": format_time(order.requested_at),
        "approved_by": order.approved_by,
        "approved_at": None if order.approved_at is None else format_time(order.approved_at),
    }


def _words(order: Erasure) -> str:
    return f"{order.pk}: {order.get_state_display()} ({order.get_basis_display()})"
