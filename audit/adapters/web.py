"""Asking a server of somebody else over HTTP: within limits of time and size, and never somewhere else."""

from dataclasses import dataclass

import httpx

from audit.errors import AnchorError

_SECONDS = 20.0
_MAX_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: status, content type without parameters, body."""

    status: int
    kind: str
    body: bytes


def post(url: str, body: bytes, kind: str) -> Answer:
    """Send a body. A redirect is an answer like any other.

    Raises:
        AnchorError: The server was not reached, or its answer is too long.
    """
    try:
        with httpx.stream(
            "POST", url, content=body, headers={"Content-Type": kind}, timeout=_SECONDS, follow_redirects=False
        ) as answer:
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > _MAX_ANSWER_BYTES:
                    raise AnchorError(f"{url} answered with more than {_MAX_ANSWER_BYTES} bytes")
            found = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Answer(answer.status_code, found, bytes(content))
    except httpx.HTTPError as error:
        raise AnchorError(f"{url} not reached: {error}") from error
