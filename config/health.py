"""Is the process alive, and can it do its work?"""

from django.conf import settings
from django.db import OperationalError, ProgrammingError, connections
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from kombu.exceptions import OperationalError as BrokerError

from config.celery import app


def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer while the process lives."""
    return JsonResponse({"status": "alive"})


def readyz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 when the database, the ledger and the broker can be reached, else 503 with what cannot."""
    checks = {"database": _database("default", "SELECT 1 FROM governance_user LIMIT 1"), "broker": _broker()}
    checks["ledger"] = _database("auditor", "SELECT 1 FROM ledger.head LIMIT 1")
    ready = all(value == "ok" for value in checks.values())
    return JsonResponse({"status": "ready" if ready else "not ready", **checks}, status=200 if ready else 503)


def trust(_request: HttpRequest) -> FileResponse:
    """Publish the keys that auditors pin."""
    return FileResponse((settings.NOTARY_HOME / "trust.json").open("rb"), content_type="application/json")


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
