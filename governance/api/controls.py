"""The control catalogue, what is declared of systems, and what became of each control."""

from datetime import date
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import control_serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.controls.catalogue import Catalogue, Standing, catalogue_at
from governance.controls.evaluation import ControlResult, Evaluation
from governance.controls.reading import installed_catalogue
from governance.enums import Scope
from governance.selectors import control_evaluation
from governance.services.declarations import system_declare


class ControlsView(GovernedView):
    """The control catalogue."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "control_list",
        "Read how each control stands on a day",
        query=s.AsOfQuestion,
        gives={200: s.CatalogueOutput},
        problems=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """Give the catalogue as of a day; the reading is logged."""
        as_of = _as_of(request)
        catalogue = installed_catalogue()
        standings = catalogue_at(catalogue, as_of)
        self.viewed("control_catalogue", catalogue.version, catalogue.digest.text)
        return Response(s.CatalogueOutput(_catalogue(catalogue, standings, as_of)).data)


class SystemControlsView(GovernedView):
    """What became of each control for a system."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "system_controls",
        "Read what became of each control for an AI system, as of a day",
        query=s.AsOfQuestion,
        gives={200: s.EvaluationOutput},
        problems=(400, 404, 422),
    )
    def get(self, request: Request, system: str) -> Response:
        """Evaluate the catalogue for a system, by id or short name; the reading is logged."""
        record = self.system(system)
        evaluation = control_evaluation(system=record, as_of=_as_of(request))
        self.viewed("system", record.id)
        return Response(s.EvaluationOutput(_evaluation(record.id, evaluation)).data)


class DeclarationsView(GovernedView):
    """What is declared of a system."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation(
        "system_declarations",
        "Read what was declared of an AI system, newest first",
        gives={200: s.DeclarationOutput(many=True)},
        problems=(404,),
    )
    def get(self, request: Request, system: str) -> Response:  # noqa: ARG002 - DRF passes it
        """Give every version of the declaration; the reading is logged."""
        record = self.system(system)
        self.viewed("system", record.id)
        return Response(s.DeclarationOutput(record.declarations.select_related("declared_by"), many=True).data)

    @operation(
        "system_declare",
        "Declare what an AI system is, and with it which controls apply",
        takes=s.DeclarationInput,
        gives={201: s.DeclarationOutput},
        problems=(400, 404, 422),
    )
    def post(self, request: Request, system: str) -> Response:
        """Keep a new version of the declaration, or give the one that says the same and stands."""
        declaration = system_declare(
            actor=self.caller(),
            system=self.system(system),
            at=timezone.now(),
            **parsed(s.DeclarationInput, request),
        )
        return Response(s.DeclarationOutput(declaration).data, status=status.HTTP_201_CREATED)


def _as_of(request: Request) -> date:
    day: date | None = parsed(s.AsOfQuestion, request).get("as_of")
    return day or timezone.now().date()


def _standing(standing: Standing) -> dict[str, Any]:
    control = standing.control
    return {
        **control.to_json(),
        "status": standing.status.value,
        "status_words": standing.words,
        "why": standing.why,
        "trust": control.trust.value,
        "trust_words": control.trust.words,
    }


def _catalogue(catalogue: Catalogue, standings: tuple[Standing, ...], as_of: date) -> dict[str, Any]:
    return {
        "version": catalogue.version,
        "digest": catalogue.digest.text,
        "checked_on": catalogue.checked_on,
        "covers_from": catalogue.covers_from,
        "as_of": as_of,
        "checked": as_of <= catalogue.checked_on,
        "controls": [_standing(standing) for standing in standings],
    }


def _result(result: ControlResult) -> dict[str, Any]:
    return _standing(result.standing) | result.to_json()


def _evaluation(system: str, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "system": system,
        "catalogue_version": evaluation.catalogue_version,
        "catalogue_digest": evaluation.catalogue_digest.text,
        "as_of": evaluation.as_of,
        "checked": evaluation.checked,
        "inputs_digest": evaluation.inputs_digest.text,
        "digest": evaluation.digest.text,
        "counts": {outcome.value: count for outcome, count in evaluation.counts.items()},
        "results": [_result(result) for result in evaluation.results],
    }
