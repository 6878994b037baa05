"""Predictions about persons: recorded by systems, asked for by people."""

from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import prediction_serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.enums import HumanAction, Purpose, Scope
from governance.services.prediction_search import predictions_find
from governance.services.predictions import Intervention, Prediction, predictions_record


class PredictionBatchView(GovernedView):
    """Recording predictions."""

    scopes: ClassVar = {"POST": Scope.PREDICTION_WRITE}

    @operation(
        "predictions_record",
        "Record up to 1,000 predictions and what people made of them, all or none",
        takes=s.PredictionBatchInput,
        gives={201: s.PredictionBatchOutput},
        problems=(400, 409, 422),
    )
    def post(self, request: Request) -> Response:
        """Keep all of them, or none and say of each what is wrong with it; the same twice is kept once."""
        body = parsed(s.PredictionBatchInput, request)
        records = predictions_record(
            reporter=self.caller(),
            predictions=[Prediction(reference=item.pop("id"), **item) for item in body.get("predictions", [])],
            interventions=[
                Intervention(reference=item.pop("id"), action=HumanAction(item.pop("action")), **item)
                for item in body.get("overrides", [])
            ],
            at=timezone.now(),
        )
        unapproved = sum(not record.is_approved for record in records)
        answer = s.PredictionBatchOutput({"predictions": records, "unapproved": unapproved})
        return Response(answer.data, status=status.HTTP_201_CREATED)


class PredictionSearchView(GovernedView):
    """Asking what decided about a person. The question is sent, because addresses stand in the logs of servers."""

    scopes: ClassVar = {"POST": Scope.PREDICTION_READ}

    @operation(
        "predictions_find",
        "Ask which approved model decided about a person on a day",
        takes=s.PredictionQuestion,
        gives={200: s.PredictionsOutput},
        problems=(400, 422),
    )
    def post(self, request: Request) -> Response:
        """Give the predictions with what stood behind each at its moment; who asks and why is logged."""
        question = parsed(s.PredictionQuestion, request)
        question["purpose"] = Purpose(question["purpose"])
        answers = predictions_find(asker=self.caller(), at=timezone.now(), **question)
        return Response(s.PredictionsOutput({"predictions": answers}).data)
