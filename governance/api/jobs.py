"""Long work: how it stands, and how to stop it."""

from typing import ClassVar

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import serializers as s
from governance.api.base import GovernedView, operation
from governance.enums import JobState, Scope
from governance.models import Job
from governance.services.jobs import job_cancel


def job_accepted(job: Job, request: Request) -> Response:
    """Answer 202 with the job and where to look for it."""
    return Response(
        s.JobOutput(job).data,
        status=202,
        headers={"Location": request.build_absolute_uri(f"/api/v1/jobs/{job.id}"), "Retry-After": "1"},
    )


class JobView(GovernedView):
    """One job."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "DELETE": Scope.ASSESSMENT_RUN}

    @operation("job_get", "Read how a job stands", gives={200: s.JobOutput}, problems=(404,))
    def get(self, request: Request, job_id: str) -> Response:  # noqa: ARG002
        """Give state, progress, and the result's id when it is there."""
        job = self.found(Job.objects.all(), "job", pk=job_id)
        ended = job.state in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
        return Response(s.JobOutput(job).data, headers={} if ended else {"Retry-After": "1"})

    @operation("job_cancel", "Cancel a job", gives={200: s.JobOutput}, problems=(404, 409))
    def delete(self, request: Request, job_id: str) -> Response:  # noqa: ARG002
        """Cancel work that waits or runs."""
        self.found(Job.objects.all(), "job", pk=job_id)
        return Response(s.JobOutput(job_cancel(actor=self.caller(), job_id=job_id, at=timezone.now())).data)


class WhoamiView(GovernedView):
    """The token presented."""

    scopes: ClassVar = {"GET": Scope.GATE_READ}

    @operation("whoami", "Read whose token this is and what it may do", gives={200: s.WhoamiOutput})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give the user and the token's scopes."""
        user, token = self.caller(), self.token()
        return Response(
            {
                "user": user.id,
                "name": user.printed_name,
                "service": user.is_service,
                "roles": user.roles,
                "scopes": token.scopes,
                "expires_at": token.expires_at,
            }
        )
