"""Assessments in a process of their own.

The libraries that read models are native code, and a damaged or hostile model can bring their process down. Then it is
this child that dies: its memory and processor time are limited, it inherits no secret, and its parent says what it
died of.

The parent writes one line of JSON, the request. The child answers with lines of JSON: any number of `progress`,
then one `result` or one `error`.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from explain.errors import CalculationDiedError, RelayedError
from explain.payload import Progress, silent
from modelnotary.errors import ModelNotaryError

MEMORY_BYTES = 16 * 1024**3
"""Of address space: the numeric libraries reserve several times what they use."""

PROCESSOR_SECONDS = 3600

type Assessment = Literal["explanation", "bias"]

_ROOT = Path(__file__).resolve().parents[1]
_INHERITED = ("PATH", "LANG", "TMPDIR", "OMP_NUM_THREADS", "COVERAGE_PROCESS_START")


def run_isolated(
    assessment: Assessment,
    model_path: Path,
    table_path: Path,
    parameters: Mapping[str, Any],
    *,
    background_path: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Do what `explanation_run` or `bias_run` of `explain.assessment` does, in a child process.

    Args:
        assessment: Which of the two.
        model_path: As there.
        table_path: As there.
        parameters: As there.
        background_path: As there, for an explanation.
        progress: Told how far the work is. If it raises, the child is killed and the error goes on.

    Returns:
        The evidence.

    Raises:
        RelayedError: The child refused; the error has its code and message.
        CalculationDiedError: The child died without an answer.
    """
    request = {
        "assessment": assessment,
        "model_path": str(model_path.absolute()),
        "table_path": str(table_path.absolute()),
        "parameters": dict(parameters),
        "background_path": str(background_path.absolute()) if background_path else None,
    }
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "explain.isolation"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env=environment,
        text=True,
        encoding="utf-8",
    ) as child:
        try:
            return _converse(child, json.dumps(request), progress)
        finally:
            child.kill()


def _converse(child: subprocess.Popen[str], request: str, progress: Progress) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(request)
        child.stdin.close()
    for line in child.stdout:
        match _parsed(line):
            case {"progress": [int(done), int(total), str(stage)]}:
                progress(done, total, stage)
            case {"error": {"code": str(code), "message": str(message)}}:
                raise RelayedError(code, message)
            case {"result": dict(result)}:
                return result
            case _:
                child.kill()
    raise CalculationDiedError(child.wait())


def _parsed(line: str) -> object:
    """What a line says; None where it is no JSON, as the last one of a child that was killed while writing."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _child() -> None:
    """Read the request, limit this process, compute, answer."""
    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, PROCESSOR_SECONDS)):
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        # Libraries print; their words go to the log and not between the answers.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            _answer(answers, result=_compute(json.load(sys.stdin), answers))
        except ModelNotaryError as error:
            _answer(answers, error={"code": error.code, "message": str(error)})


def _compute(request: Mapping[str, Any], answers: IO[str]) -> dict[str, Any]:
    from explain.assessment import bias_run, explanation_run

    def progress(done: int, total: int, stage: str) -> None:
        _answer(answers, progress=[done, total, stage])

    run: Callable[..., dict[str, Any]] = bias_run
    more = {}
    if request["assessment"] == "explanation":
        background = request["background_path"]
        run, more = explanation_run, {"background_path": Path(background) if background else None}
    return run(
        Path(request["model_path"]), Path(request["table_path"]), request["parameters"], progress=progress, **more
    )


def _answer(answers: IO[str], **answer: object) -> None:
    answers.write(json.dumps(answer, allow_nan=False) + "\n")
    answers.flush()


if __name__ == "__main__":
    _child()
