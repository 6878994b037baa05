"""The HTTP client: typed, synchronous, and unable to take silence for consent."""

import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from modelnotary.client.errors import ProblemError, UnreachableError
from modelnotary.ledger.digest import Digest

_CHUNK = 1024 * 1024
_RETRY_PAUSES = (0.2, 0.8, 2.0)
_IDEMPOTENT = {"GET", "PUT"}


class NotaryClient:
    """A connection to one server with one token.

    Args:
        server: Its address, for instance https://notary.example.com.
        token: A bearer token.
        timeout: Seconds to wait for each answer.
    """

    def __init__(self, server: str, token: str, *, timeout: float = 30.0) -> None:
        self._http = httpx.Client(
            base_url=f"{server.rstrip('/')}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=timeout
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:  # noqa: ANN401 - JSON
        """Read a resource.

        Raises:
            UnreachableError: No answer, or a fault of the server, after retries.
            ProblemError: The server refused.
        """
        return self._request("GET", path, params=query).json()

    def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Create something. Not retried: the server may have done it before the answer was lost.

        Raises:
            UnreachableError: No answer, or a fault of the server.
            ProblemError: The server refused.
        """
        return self._request("POST", path, json=body).json()

    def delete(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Cancel something."""
        return self._request("DELETE", path).json()

    def upload(self, path: Path) -> Digest:
        """Send a file's bytes under their digest.

        Raises:
            UnreachableError: No answer, or a fault of the server.
            ProblemError: The server refused, for instance a pickle.
        """
        digest = Digest.of_file(path)
        size = str(path.stat().st_size)
        self._request("PUT", f"artifacts/{digest}", content=_Body(path), headers={"Content-Length": size})
        return digest

    def download(self, path: str) -> bytes:
        """Read a resource's bytes."""
        return self._request("GET", path).content

    def job_wait(self, job_id: str, *, deadline: float = 600.0) -> dict[str, Any]:
        """Wait until a job has ended and give it.

        Args:
            job_id: The job.
            deadline: Seconds to wait at most.

        Raises:
            UnreachableError: It has not ended in time.
        """
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            job: dict[str, Any] = self.get(f"jobs/{job_id}")
            if job["state"] in {"succeeded", "failed", "cancelled"}:
                return job
            time.sleep(0.3)
        raise UnreachableError(f"job {job_id} has not ended within {deadline:.0f} s")

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's options
        pauses = _RETRY_PAUSES if method in _IDEMPOTENT else ()
        for pause in (*pauses, None):
            try:
                response = self._http.request(method, path, **options)
            except httpx.HTTPError as error:
                failure = f"{error.__class__.__name__}: {error}"
            else:
                if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return _accepted(response)
                failure = f"the server answered {response.status_code}: {response.text[:300]}"
            if pause is None:
                raise UnreachableError(f"{method} {path}: {failure}")
            time.sleep(pause)
        raise AssertionError("the last pause is None")


class _Body:
    """A file as a request body that a retry can send again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _accepted(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {"detail": response.text[:300]}
    raise ProblemError(response.status_code, problem if isinstance(problem, dict) else {"detail": str(problem)})
