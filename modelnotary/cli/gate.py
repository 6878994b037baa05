"""`modelnotary gate`: may this artifact go to this environment? Anything but exit code 0 means no."""

import json
import time
from enum import IntEnum
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

gate = typer.Typer(no_args_is_help=True, help="Ask the gate about an artifact.")

_POLL_SECONDS = 2.0
_HEARTBEAT_SECONDS = 60.0


class GateExit(IntEnum):
    """Exit codes. They never change their meaning."""

    ALLOWED = 0
    DENIED = 1
    USAGE = 2
    PENDING = 3
    NOT_AUTHORISED = 4
    UNREACHABLE = 5
    UNTRUSTED = 6
    STALE = 7
    EVALUATION_ERROR = 8


_REASONS = {
    "passed": GateExit.ALLOWED,
    "decision-pending": GateExit.PENDING,
    "decision-error": GateExit.EVALUATION_ERROR,
    "decision-expired": GateExit.STALE,
    "decision-revoked": GateExit.STALE,
    "exception-ended": GateExit.STALE,
    "evidence-changed": GateExit.STALE,
    "policy-changed": GateExit.STALE,
}
_STATES = {
    "passed": GateExit.ALLOWED,
    "failed": GateExit.DENIED,
    "pending": GateExit.PENDING,
    "error": GateExit.EVALUATION_ERROR,
    "expired": GateExit.STALE,
    "revoked": GateExit.STALE,
    "superseded": GateExit.STALE,
}

Artifact = Annotated[Path | None, typer.Option(help="The artifact: a file or a folder. Its digest is computed here.")]
DigestText = Annotated[str, typer.Option("--digest", help="The artifact's digest, when the file is not at hand.")]
Environment = Annotated[str, typer.Option(help="Where it is to go, for instance production.")]
Server = Annotated[str, typer.Option(envvar="MODELNOTARY_SERVER", help="Address of the server.")]
Token = Annotated[str, typer.Option(envvar="MODELNOTARY_TOKEN", help="Bearer token.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the server's answer as JSON on standard output.")]


@gate.command("assert")
def assert_(  # noqa: PLR0917 - one parameter for each option
    environment: Environment,
    server: Server,
    token: Token,
    artifact: Artifact = None,
    digest: DigestText = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Ask whether a passed decision allows the artifact in the environment."""
    wanted = _digest(artifact, digest)
    answer = _ask(server, token, "GET", "asserts", {"digest": wanted, "environment": environment})
    code = GateExit.ALLOWED if answer["allowed"] is True else _REASONS.get(answer["reason_code"], GateExit.DENIED)
    if answer["allowed"] is not True and code is GateExit.ALLOWED:
        code = GateExit.DENIED
    _finish(code, answer, answer["message"], as_json=as_json)


@gate.command()
def decide(  # noqa: PLR0917 - one parameter for each option
    environment: Environment,
    server: Server,
    token: Token,
    artifact: Artifact = None,
    digest: DigestText = "",
    wait: Annotated[float, typer.Option(help="Minutes to wait for signatures.", min=0)] = 0.0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Request a decision, and wait for signatures if asked to."""
    wanted = _digest(artifact, digest)
    decision = _ask(server, token, "POST", "decisions", {"digest": wanted, "environment": environment})
    end = time.monotonic() + wait * 60
    shown = time.monotonic()
    while decision["state"] == "pending" and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        if time.monotonic() - shown > _HEARTBEAT_SECONDS:
            shown = time.monotonic()
            typer.echo(f"waiting for signatures on {decision['id']}", err=True)
        decision = _ask(server, token, "GET", f"decisions/{decision['id']}", {})
    words = "; ".join(rule["message"] for rule in decision["rules"] if rule["outcome"] != "pass") or "all rules passed"
    _finish(_STATES.get(decision["state"], GateExit.DENIED), decision, words, as_json=as_json)


def _digest(artifact: Path | None, digest: str) -> str:
    from modelnotary.errors import ModelNotaryError
    from modelnotary.ledger.digest import Digest
    from modelnotary.manifest.taking import content_digest

    if (artifact is None) == (not digest):
        raise typer.BadParameter("give either --artifact or --digest")
    try:
        return str(content_digest(artifact) if artifact else Digest.from_text(digest))
    except (ModelNotaryError, OSError) as error:
        raise typer.BadParameter(str(error)) from error


def _ask(server: str, token: str, method: str, path: str, body: dict[str, str]) -> dict[str, Any]:
    from modelnotary.client.api import NotaryClient
    from modelnotary.client.errors import ProblemError, UnreachableError

    try:
        with NotaryClient(server, token) as client:
            answer: dict[str, Any] = client.get(path, **body) if method == "GET" else client.post(path, body)
            return answer
    except UnreachableError as error:
        _fail(GateExit.UNREACHABLE, f"no answer, so not allowed: {error}")
    except ProblemError as error:
        refused = error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        known = error.problem_code == "unknown-artifact"
        code = GateExit.NOT_AUTHORISED if refused else GateExit.DENIED if known else GateExit.USAGE
        _fail(code, str(error))


def _finish(code: GateExit, answer: dict[str, Any], words: str, *, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    typer.echo(f"{code.name.lower().replace('_', ' ')}: {words}", err=True)
    raise typer.Exit(code)


def _fail(code: GateExit, words: str) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(code)
