"""Long work: how far it is, and why it failed."""

from django.contrib import admin
from django.http import HttpRequest

from governance.admin.base import GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment, nested
from governance.admin.ledger import ledger_section
from governance.admin.sections import Facts, Notice, Page
from governance.models import Job


@admin.register(Job)
class JobAdmin(GovernedAdmin[Job]):
    """Jobs."""

    kinds = ("job",)
    deferred = ("parameters",)
    list_display = (
        "type",
        "model_version",
        "where",
        "stage",
        person_column("requested_by"),
        moment_column("created_at"),
        moment_column("finished_at"),
    )
    list_select_related = ("model_version__model", "requested_by")
    list_filter = ("type", "state")
    search_fields = ("id__exact", "model_version__id__exact")

    @admin.display(description="state")
    def where(self, job: Job) -> Cell:
        """Show the state."""
        return badge(job.state, job.get_state_display())

    def page(self, request: HttpRequest, record: Job) -> Page:  # noqa: ARG002
        """Show what was asked and what came of it."""
        return Page(
            heading=f"{record.get_type_display()} of {record.model_version}",
            badge=badge(record.state, record.get_state_display()),
            notices=_problem(record),
            sections=(
                Facts(
                    title="Job",
                    rows=(
                        ("Id", code(record.id)),
                        ("Model version", link(record.model_version)),
                        ("Progress", f"{record.done:,} of {record.total:,}"),
                        ("Stage", record.stage or None),
                        ("Attempts", record.attempts),
                        ("Made", code(record.result)),
                        ("Requested by", link(record.requested_by, record.requested_by.printed_name)),
                        ("Created", moment(record.created_at)),
                        ("Last sign of life", moment(record.heartbeat_at)),
                        ("Finished", moment(record.finished_at)),
                    ),
                ),
                Facts(title="What was asked", rows=(("Parameters", nested(record.parameters)),)),
                ledger_section(record.id),
            ),
        )


def _problem(job: Job) -> tuple[Notice, ...]:
    if not job.problem:
        return ()
    return (Notice(tone="bad", words=f"{job.problem['code']}: {job.problem['detail']}"),)
