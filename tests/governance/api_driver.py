"""Calling the API through its real addresses with real tokens, and telling whether anything changed."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import psycopg
from conftest import Database
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from psycopg import sql

API = "/api/v1/"
JSON = "application/json"
# What a call may always touch: when its token was last used.
_ALWAYS = frozenset({"public.governance_apitoken"})
REFUSAL_RECORDED = frozenset({"ledger.body", "ledger.queue"})
# A wrong proof is counted with the account that it was given for.
FAILURE_COUNTED = frozenset({"public.governance_user"})


class Api:
    """A caller with a token, or with none."""

    def __init__(self, token: str | None, **headers: str) -> None:
        sent = {"Host": "127.0.0.1"} | headers | ({} if token is None else {"Authorization": f"Bearer {token}"})
        self._client = Client(raise_request_exception=False, headers=sent)

    def get(self, path: str, **query: str) -> HttpResponse:
        return self.call("GET", f"{API}{path}?{urlencode(query)}")

    def post(self, path: str, body: Any = None, *, raw: bytes | None = None, kind: str = JSON) -> HttpResponse:
        """Send a JSON body, or exactly these bytes."""
        return self.call("POST", API + path, json.dumps(body).encode() if raw is None else raw, kind)

    def put(self, path: str, content: bytes) -> HttpResponse:
        return self.call("PUT", API + path, content, "application/octet-stream")

    def call(self, method: str, address: str, content: bytes = b"", kind: str = JSON) -> HttpResponse:
        return cast("HttpResponse", self._client.generic(method, address, content, kind))


def body_of(response: HttpResponse) -> Any:
    return json.loads(response.content)


def require(response: HttpResponse, status: int) -> Any:
    """The body of an answer that has this status."""
    assert response.status_code == status, response.content
    return body_of(response)


def require_problem(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, after checking that it is one as RFC 9457 and we have it."""
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json"), response.content
    problem: dict[str, Any] = body_of(response)
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"].startswith("/")
    assert problem["trace_id"].startswith("trc_")
    assert "Traceback" not in response.content.decode()
    page = Client(SERVER_NAME="127.0.0.1").get(urlsplit(problem["type"]).path)
    assert page.status_code == 200, problem["type"]
    assert code in page.content.decode()
    return problem


def snapshot(database: Database) -> dict[str, str]:
    """What every table holds, as one digest a table; a partition's rows are its table's."""
    with psycopg.connect(database.superuser_url) as connection:
        tables = connection.execute(
            "SELECT relnamespace::regnamespace::text, relname FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND NOT relispartition AND relnamespace IN ('public'::regnamespace, 'ledger'::regnamespace)"
        ).fetchall()
        statement = sql.SQL("SELECT coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text)), '') FROM {} t")
        digests = {
            f"{schema}.{table}": connection.execute(statement.format(sql.Identifier(schema, table))).fetchall()[0][0]
            for schema, table in tables
        }
    return {table: digest for table, digest in digests.items() if table not in _ALWAYS}


def changes(before: dict[str, str], after: dict[str, str]) -> frozenset[str]:
    return frozenset(table for table in after if after[table] != before[table])


def at_once[Result](*calls: Callable[[], Result]) -> list[Result | Exception]:
    """Do all calls at the same moment, each on a connection of its own; give what each returned or raised."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result | Exception:
        try:
            connections["default"].ensure_connection()
            barrier.wait()
            return call()
        except Exception as error:  # noqa: BLE001 - handed to the test, which looks at it
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
