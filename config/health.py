"""Is the process alive, and can it do its work?"""

from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, ProgrammingError, connections
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from audit.anchoring import anchor_lags, anchors_configured
from audit.enums import Log
from audit.errors import AnchorAddressError, UnknownEntryError
from audit.pulse import ledger_faults, log_pulses
from audit.selectors import log_current
from config.celery import app


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer while the process lives."""
    return JsonResponse({"status": "alive"})


def readyz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 when the database, the ledger and the broker can be reached, else 503 with what cannot.

    A ledger whose guards do not stand is no ledger to write to, and to one with a frozen log nothing can be written
    before an operator has opened its successor. That a sequencer, a signer or an anchor is behind is told, and
    is no reason to stop work: nothing that comes after an event may hold events up.
    """
    checks = {"database": _database("default", "SELECT 1 FROM governance_user LIMIT 1"), "broker": _broker()}
    # The guards first: whoever asks first over a broken connection is told why it broke.
    guards, frozen = _ledger(), _frozen()
    checks["ledger"] = "; ".join(frozen.values()) or guards
    ready = all(value == "ok" for value in checks.values())
    body = {
        "status": "ready" if ready else "not ready",
        **checks,
        "frozen": list(frozen),
        "logs": _logs(),
        "anchor_lag": _anchor_lag(),
    }
    return JsonResponse(body, status=200 if ready else 503)


def trust(_request: HttpRequest) -> FileResponse:
    """Publish the keys that auditors pin."""
    return FileResponse((settings.NOTARY_HOME / "trust.json").open("rb"), content_type="application/json")


def _ledger() -> str:
    try:
        return "; ".join(f"guard: {fault}" for fault in ledger_faults()) or "ok"
    except (OperationalError, ProgrammingError) as error:
        return str(error).splitlines()[0]


def _frozen() -> dict[str, str]:
    """Say of each class of log that takes no events why, and what to do."""
    try:
        newest = [log_current(log_class=log) for log in Log.values]
        return {
            log.log_class: f"log {log.name} is {log.state}: {log.state_reason}; see docs/restore.md"
            for log in newest
            if log.state != "active"
        }
    except (OperationalError, ProgrammingError, UnknownEntryError):
        return {}


def _logs() -> dict[str, dict[str, float]]:
    """For how many seconds the oldest event of each log has waited for its place, and for a checkpoint."""
    try:
        pulses = log_pulses()
    except (OperationalError, ProgrammingError):
        return {}
    return {
        pulse.log: {"queue_age": round(pulse.queue_age, 1), "checkpoint_age": round(pulse.checkpoint_age, 1)}
        for pulse in pulses
    }


def _anchor_lag() -> str:
    """Tell where a checkpoint has waited for longer than ANCHOR_LAG_SECONDS.

    Anyone may read this, so it names kinds of places and no addresses.
    """
    due = timezone.now() - timedelta(seconds=settings.ANCHOR_LAG_SECONDS)
    try:
        lags = anchor_lags(anchors=anchors_configured())
    except AnchorAddressError:
        return "ANCHORS holds something that is not the address of an anchor; manage.py anchor_now says what"
    except (OperationalError, ProgrammingError) as error:
        return str(error).splitlines()[0]
    late = [lag for lag in lags if lag.since is not None and lag.since < due]
    return "; ".join(f"{lag.log} is {lag.entries} entries ahead of a {lag.kind}" for lag in late) or "ok"


def _database(alias: str, statement: str) -> str:
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)
    except (OperationalError, ProgrammingError) as error:
        return str(error).splitlines()[0]
    return "ok"


def _broker() -> str:
    try:
        with app.connection_for_write(connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except (BrokerError, OSError) as error:
        return str(error)
    return "ok"
