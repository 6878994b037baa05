"""Starting assessments."""

from typing import ClassVar

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from explain.api.serializers import AssessmentInput
from explain.services import assessment_request
from governance.api import serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.api.jobs import job_accepted
from governance.enums import JobType, Scope
from governance.models import DatasetVersion
from governance.tasks import job_remind


class AssessmentsView(GovernedView):
    """Explanations and bias assessments."""

    scopes: ClassVar = {"POST": Scope.ASSESSMENT_RUN}

    @operation(
        "assessment_start",
        "Start an explanation or a bias assessment",
        takes=AssessmentInput,
        gives={202: s.JobOutput},
        problems=(400, 404),
    )
    def post(self, request: Request) -> Response:
        """Answer 202 with the job that a worker will do."""
        body = parsed(AssessmentInput, request)
        datasets = DatasetVersion.objects.all()
        job = assessment_request(
            actor=self.caller(),
            kind=JobType(body["kind"]),
            version=self.model_version(body["model"]),
            dataset=self.found(datasets, "data set version", artifact=body["dataset"].text),
            parameters=body["parameters"],
            at=timezone.now(),
        )
        job_remind(job)
        return job_accepted(job, request)
