"""Killed between any two steps, archiving and dropping go on where they were: each thing is told and done once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive_driver import Scene, grow, partitions_narrow, relations, scheduled_long_ago, settling
from conftest import Database
from ledger_driver import connect, one

from audit.enums import Log
from audit.models import Entry
from config.embedded import CHECKOUT
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode

# Forks a process for each command, which kills itself with the call that it is told.
_PARENT = """
import importlib, json, os, signal, sys, traceback
import django
django.setup()
from django.core.management import call_command

def run(arguments, module, name, call):
    place = importlib.import_module(module)
    done, calls = getattr(place, name), []

    def kill(*given, **options):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return done(*given, **options)

    setattr(place, name, kill)
    call_command(*arguments, stdout=sys.stderr)

for line in sys.stdin:
    if not (child := os.fork()):
        try:
            run(*json.loads(line))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
_COMMAND = "audit.management.commands.ledger_archive"
# What is called when the process dies, and at which call; each run begins where the one before ended.
ARCHIVING = {
    "among the tiles": ("modelnotary.verify.log_archive_format", "_write", 5),
    "before the manifest": ("modelnotary.verify.log_archive_format", "subtrees_between", 1),
    "before the verification": ("audit.archiving", "_verified", 1),
    "before the archive is told of": ("audit.archiving", "_record_once", 1),
    "before that is signed": ("audit.archiving", "_signed_await", 1),
}
DROPPING = {
    "before the pruning is told of": ("audit.archiving", "_record_once", 1),
    "before that is signed": ("audit.archiving", "_signed_await", 1),
    "before the log moves on": ("audit.archiving", "_archiver_call", 1),
    "before anything is dropped": (_COMMAND, "partitions_drop", 2),
    "among the partitions": ("audit.archiving", "_archiver_call", 2),
    "in the second archive": (_COMMAND, "log_prune", 1),
}


@contextmanager
def parent(database: Database, keys: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**database.environment, "DJANGO_SETTINGS_MODULE": "config.settings", "NOTARY_HOME": str(keys.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        env=os.environ | environment,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def run(process: subprocess.Popen[str], arguments: list[str], module: str, name: str, call: int) -> int:
    """Run the command in a process of its own; give how that ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([arguments, module, name, call]) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def test_killed_between_any_two_steps_it_goes_on(database: Database, keys: Path, tmp_path: Path) -> None:
    partitions_narrow(database)
    grow(database, keys, 600, log="access")
    scheduled_long_ago(database, 184, log=Log.ACCESS)
    with parent(database, keys) as process, settling(database, keys):
        for options, steps in (([], ARCHIVING), (["--drop"], DROPPING)):
            command = ["ledger_archive", "access", "--to", str(tmp_path), *options]
            for step, (module, name, call) in steps.items():
                assert run(process, command, module, name, call) == -signal.SIGKILL, step
            assert run(process, command, _COMMAND, "_folder", 0) == 0
    for event in ("archive.sealed", "log.pruned"):
        assert Entry.objects.filter(event_type=event).count() == 2, event
    assert [verify_paths([path])[0].exit_code for path in tmp_path.iterdir()] == [ExitCode.VERIFIED] * 2
    with connect(database, "auditor") as connection:
        assert one(connection, "SELECT min_index FROM ledger.log WHERE name = 'access'") == 512
        assert relations(connection, "body", 2)[0] == "body_2_512"
        assert Scene(database, keys, tmp_path).findings(connection) == {}
