"""Long work is done once, whatever is killed, delivered twice, cancelled or taken over."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import factories
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
import quick_settings
import redis
import xgboost as xgb
from api_driver import Api, at_once, changes, require, require_problem, snapshot
from conftest import TESTS, Database
from django.conf import settings
from django.db import connections
from django.utils import timezone

from audit.models import Entry
from config.celery import app
from config.embedded import CHECKOUT
from config.embedded.processes import wait_until
from config.supervisor import command, process_environment
from governance.enums import EvidenceType, JobState, JobType, Scope
from governance.errors import RejectedInputError
from governance.models import DatasetVersion, Evidence, Job, ModelVersion, User
from governance.services import inventory
from governance.services.evidence import Deposit, evidence_deposit
from governance.services.jobs import ATTEMPTS_LIMIT, job_cancel, job_create, job_finish, job_take
from governance.services.work import Progress, Work, job_execute
from governance.tasks import job_remind, jobs_rescue

pytestmark = pytest.mark.usefixtures("database", "keys")
START = datetime(2026, 11, 21, 10, tzinfo=UTC)
SILENCE = timedelta(seconds=settings.JOB_STALLED_AFTER_SECONDS)


@pytest.fixture(scope="module")
def requester() -> User:
    return factories.person()


@pytest.fixture
def version(requester: User) -> ModelVersion:
    return factories.model_version(requester)


@pytest.fixture
def job(requester: User, version: ModelVersion) -> Job:
    return job_create(actor=requester, kind=JobType.EXPLANATION, version=version, parameters={}, at=START)


def deposit(job: Job, **payload: Any) -> Callable[[], str]:
    """What writes a job's result."""

    def make() -> str:
        return evidence_deposit(
            producer=job.requested_by,
            subject=job.model_version,
            deposit=Deposit(kind=EvidenceType.EXPLANATION, payload={"rows": 5} | payload),
            measured=True,
            at=timezone.now(),
        ).id

    return make


def work_at_once(job: Job, progress: Progress) -> Callable[[], str]:
    progress(1, 2, "working")
    return deposit(job)


def execute(job: Job, work: Work = work_at_once, clock: Callable[[], datetime] = timezone.now) -> None:
    job_execute(job_id=job.id, work=work, clock=clock)


def ended(job: Job) -> tuple[str, int, int]:
    """State, attempts, and how many results there are."""
    job.refresh_from_db()
    return job.state, job.attempts, Evidence.objects.filter(model_version=job.model_version).count()


def test_a_job_leaves_one_result_and_says_so(job: Job) -> None:
    execute(job)
    assert ended(job) == ("succeeded", 1, 1)
    assert job.result == Evidence.objects.get(model_version=job.model_version).id
    assert (job.done, job.total, job.stage, job.problem) == (2, 2, "working", None)


def test_a_reminder_delivered_again_and_again_changes_nothing(job: Job) -> None:
    for _ in range(3):
        execute(job)
    assert ended(job) == ("succeeded", 1, 1)


def test_reminders_delivered_at_once_do_the_work_once(job: Job) -> None:
    worked = []

    def work(job: Job, progress: Progress) -> Callable[[], str]:
        worked.append(job.id)
        return work_at_once(job, progress)

    assert at_once(*[lambda: execute(job, work)] * 6) == [None] * 6
    assert worked == [job.id]
    assert ended(job) == ("succeeded", 1, 1)


@contextmanager
def at_work(job: Job, *, ends: Callable[[Progress], None] = lambda _: None) -> Iterator[threading.Event]:
    """A worker in the middle of the job, until the event is set or the block ends."""
    begun, go_on = threading.Event(), threading.Event()

    def work(job: Job, progress: Progress) -> Callable[[], str]:
        progress(1, 2, "working")
        begun.set()
        assert go_on.wait(30)
        ends(progress)
        return deposit(job)

    def run() -> None:
        execute(job, work)
        connections.close_all()

    worker = threading.Thread(target=run)
    worker.start()
    assert begun.wait(30)
    try:
        yield go_on
    finally:
        go_on.set()
        worker.join(30)


def test_a_job_that_is_being_done_is_left_alone(job: Job) -> None:
    with at_work(job):
        execute(job)
        assert ended(job) == ("running", 1, 0)
    assert ended(job) == ("succeeded", 1, 1)


@pytest.mark.parametrize("asks", [True, False])
def test_a_job_cancelled_while_it_runs_leaves_no_result(job: Job, requester: User, asks: bool) -> None:
    def ask(progress: Progress) -> None:
        if asks:
            progress(2, 2, "nearly done")

    with at_work(job, ends=ask):
        job_cancel(actor=requester, job_id=job.id, at=timezone.now())
    assert ended(job) == ("cancelled", 1, 0)
    assert job.stage == "working"
    execute(job)
    assert ended(job) == ("cancelled", 1, 0)


def test_a_worker_that_lost_its_job_to_another_leaves_no_second_result(job: Job) -> None:
    slow = job_take(job_id=job.id, at=START)
    assert slow is not None
    assert job_take(job_id=job.id, at=START + SILENCE - timedelta(seconds=1)) is None
    other = job_take(job_id=job.id, at=START + SILENCE)
    assert other is not None
    assert not job_finish(job=slow, make=deposit(job, rows=1), at=timezone.now())
    assert ended(job) == ("running", 2, 0)
    assert job_finish(job=other, make=deposit(job, rows=2), at=timezone.now())
    assert not job_finish(job=slow, make=deposit(job, rows=1), at=timezone.now())
    assert ended(job) == ("succeeded", 2, 1)


def test_a_job_whose_worker_dies_again_and_again_fails_with_the_reason(job: Job) -> None:
    moments = [START + number * SILENCE for number in range(ATTEMPTS_LIMIT + 1)]
    assert [job_take(job_id=job.id, at=at) is not None for at in moments] == [True] * ATTEMPTS_LIMIT + [False]
    assert ended(job) == ("failed", ATTEMPTS_LIMIT + 1, 0)
    detail = "the worker died 3 times on this job; look at the worker's log"
    assert job.problem == {"code": "worker-lost", "detail": detail}
    assert Entry.objects.filter(event_type="job.failed", subject_id=job.id).count() == 1
    assert job_take(job_id=job.id, at=moments[-1] + SILENCE) is None


def test_an_error_that_the_product_knows_ends_the_job_with_its_code(job: Job) -> None:
    def work(_job: Job, _progress: Progress) -> Callable[[], str]:
        raise RejectedInputError("the table lacks the column region")

    execute(job, work)
    assert ended(job) == ("failed", 1, 0)
    assert job.problem == {"code": "validation-failed", "detail": "the table lacks the column region"}


def test_any_other_error_ends_the_job_without_telling_its_secrets(job: Job) -> None:
    def work(_job: Job, _progress: Progress) -> Callable[[], str]:
        raise ZeroDivisionError("secret")

    with pytest.raises(ZeroDivisionError):
        execute(job, work)
    assert ended(job) == ("failed", 1, 0)
    assert job.problem == {"code": "internal-error", "detail": "a fault of the worker; see its log"}


def test_a_result_that_cannot_be_written_leaves_nothing_behind(job: Job) -> None:
    def work(job: Job, _progress: Progress) -> Callable[[], str]:
        def make() -> str:
            deposit(job)()
            raise RejectedInputError("too late")

        return make

    before = Entry.objects.filter(event_type="evidence.deposited").count()
    execute(job, work)
    assert ended(job) == ("failed", 1, 0)
    assert Entry.objects.filter(event_type="evidence.deposited").count() == before


def test_a_silent_worker_shows_that_it_lives(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "JOB_HEARTBEAT_SECONDS", 0.05)

    def heartbeat() -> datetime:
        return Job.objects.get(pk=job.pk).heartbeat_at

    with at_work(job):
        seen = heartbeat()
        assert wait_until(lambda: heartbeat() > seen, seconds=20)
    last = heartbeat()
    assert not wait_until(lambda: heartbeat() > last, seconds=0.3)


# --- Reminders ------------------------------------------------------------------------------------------------------
@pytest.fixture
def broker(database: Database) -> redis.Redis:
    """The broker without anything in it."""
    client = redis.Redis.from_url(database.environment["BROKER_URL"])
    client.flushdb()
    return client


def reminders(broker: redis.Redis, queue: str = "compute") -> list[tuple[str, str]]:
    """The tasks that wait in a queue, and the job that each is about."""
    messages = [json.loads(message) for message in broker.lrange(queue, 0, -1)]
    return [(message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0][0]) for message in messages]


def test_the_rescue_reminds_of_what_was_forgotten_and_of_nothing_else(
    broker: redis.Redis, requester: User, version: ModelVersion
) -> None:
    Job.objects.exclude(state__in=("succeeded", "failed", "cancelled")).update(state=JobState.CANCELLED)
    now = timezone.now()
    long_ago, just_now = now - 2 * SILENCE, now - SILENCE / 2

    def made(state: JobState, heartbeat: datetime) -> str:
        job = job_create(actor=requester, kind=JobType.BIAS, version=version, parameters={}, at=heartbeat)
        Job.objects.filter(pk=job.pk).update(state=state)
        return job.id

    forgotten, stalled = made(JobState.QUEUED, long_ago), made(JobState.RUNNING, long_ago)
    for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        made(state, long_ago)
    for state in (JobState.QUEUED, JobState.RUNNING):
        made(state, just_now)
    jobs_rescue()
    assert {job for _, job in reminders(broker)} == {forgotten, stalled}
    jobs_rescue()  # what still waits in the queue is not reminded of again at once
    assert [job for _, job in reminders(broker)].count(forgotten) == 1


@pytest.mark.parametrize(
    ("kind", "queue"),
    [
        (JobType.EXPLANATION, "compute"),
        (JobType.BIAS, "compute"),
        (JobType.REPORT, "reports"),
        (JobType.BUNDLE, "reports"),
    ],
)
def test_each_kind_of_work_goes_to_its_queue_and_its_task_exists(
    broker: redis.Redis, requester: User, version: ModelVersion, kind: JobType, queue: str
) -> None:
    job = job_create(actor=requester, kind=kind, version=version, parameters={}, at=timezone.now())
    job_remind(job)
    ((task, named),) = reminders(broker, queue)
    app.loader.import_default_modules()
    assert named == job.id
    assert task in app.tasks


REMIND = """
import sys
import django
django.setup()
import config.celery
from governance.models import Job
from governance.tasks import job_remind
job_remind(Job.objects.get(pk=sys.argv[1]))
"""


def test_a_reminder_that_a_dead_broker_did_not_take_is_sent_later(
    database: Database, broker: redis.Redis, job: Job
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
    environment = os.environ | database.environment | {"BROKER_URL": nobody}
    done = subprocess.run(
        [sys.executable, "-c", REMIND, job.id],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"broker not reached; {job.id} will be picked up later" in done.stderr
    jobs_rescue()
    assert job.id in {named for _, named in reminders(broker)}


# --- Over the API ---------------------------------------------------------------------------------------------------
def test_a_job_is_followed_and_cancelled_over_the_api(job: Job, requester: User, database: Database) -> None:
    api = Api(factories.token(requester))
    with at_work(job):
        running = api.get(f"jobs/{job.id}")
        assert require(running, 200)["progress"] == {"done": 1, "total": 2, "stage": "working"}
        assert running["Retry-After"] == "1"
        reader = Api(factories.token(requester, Scope.REGISTRY_READ))
        require_problem(reader.call("DELETE", f"/api/v1/jobs/{job.id}"), 403, "insufficient-scope")
        assert require(api.call("DELETE", f"/api/v1/jobs/{job.id}"), 200)["state"] == "cancelled"
    before = snapshot(database)
    require_problem(api.call("DELETE", f"/api/v1/jobs/{job.id}"), 409, "state-conflict")
    assert not changes(before, snapshot(database))
    assert "Retry-After" not in api.get(f"jobs/{job.id}")


# --- Real workers, killed -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def assessable(requester: User, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelVersion, DatasetVersion]:
    """A small real model and a table it can score."""
    folder = tmp_path_factory.mktemp("model")
    rows = np.random.default_rng(7).normal(size=(200, 2))
    matrix = xgb.DMatrix(rows, label=rows[:, 0] > 0, feature_names=["a", "b"])
    xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 3).save_model(folder / "model.json")
    table = "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows)
    now, model = timezone.now(), factories.model_version(requester).model
    version = inventory.model_version_register(
        actor=requester,
        model=model,
        digest=factories.stored((folder / "model.json").read_bytes(), requester),
        code_commit="",
        parameters={},
        metrics={},
        at=now,
    )
    dataset = inventory.dataset_register(
        actor=requester,
        slug=factories.unique("data"),
        at=now,
        name="Rows",
        description="d",
        classification="public",
        contains_phi=False,
    )
    return version, inventory.dataset_version_register(
        actor=requester,
        dataset=dataset,
        digest=factories.stored(table.encode(), requester),
        row_count=200,
        columns=["a", "b"],
        at=now,
    )


@pytest.fixture
def worker(
    database: Database, broker: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts the product's worker, with less patience; ends what is left of it."""
    monkeypatch.setattr(settings, "JOB_STALLED_AFTER_SECONDS", quick_settings.JOB_STALLED_AFTER_SECONDS)
    started: list[subprocess.Popen[bytes]] = []
    environment = process_environment("worker", database.environment) | {
        "DJANGO_SETTINGS_MODULE": "quick_settings",
        "PYTHONPATH": str(TESTS / "governance"),
    }
    with (tmp_path / "worker.log").open("wb") as log:

        def start() -> subprocess.Popen[bytes]:
            argv = command("worker", tmp_path, database.environment)
            started.append(
                subprocess.Popen(argv, cwd=CHECKOUT, env=environment, stdout=log, stderr=log, start_new_session=True)
            )
            return started[-1]

        yield start
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill_everything(worker: subprocess.Popen[bytes]) -> None:
    """As when the machine loses power: the worker, its pool and the calculation are gone at once."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def kill_the_pool(worker: subprocess.Popen[bytes]) -> None:
    """As when the kernel ends the process that works, for want of memory; the worker itself goes on."""
    for child in psutil.Process(worker.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


@pytest.mark.parametrize(("kill", "seed"), [(kill_everything, 1), (kill_the_pool, 2)])
def test_the_job_of_a_killed_worker_is_done_once_later(
    assessable: tuple[ModelVersion, DatasetVersion],
    requester: User,
    worker: Callable[[], subprocess.Popen[bytes]],
    kill: Callable[[subprocess.Popen[bytes]], None],
    seed: int,
) -> None:
    version, dataset = assessable
    question = {
        "kind": "explanation",
        "model": version.digest,
        "dataset": dataset.digest,
        "parameters": {"seed": seed},
    }
    first = worker()
    answer = require(Api(factories.token(requester)).post("assessments", question), 202)
    job = Job.objects.get(pk=answer["id"])
    assert wait_until(lambda: ended(job)[0] == "running", seconds=60), job.problem
    before = Evidence.objects.filter(model_version=version).count()
    kill(first)
    assert ended(job) == ("running", 1, before)
    if kill is kill_everything:
        worker()

    def rescued() -> bool:
        jobs_rescue()  # what beat does every few seconds
        return ended(job)[0] not in {"queued", "running"}

    deadline = time.monotonic() + 90
    while not rescued() and time.monotonic() < deadline:
        wait_until(lambda: ended(job)[0] == "succeeded", seconds=1)
    assert ended(job) == ("succeeded", 2, before + 1), job.problem
    evidence = Evidence.objects.get(pk=job.result)
    assert (evidence.measured, evidence.payload["model_digest"]) == (True, version.digest)
    assert Entry.objects.filter(event_type="evidence.deposited", subject_id=evidence.id).count() == 1
