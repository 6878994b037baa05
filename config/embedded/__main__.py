"""`python -m config.embedded {up,down,status,start,stop,env,run -- CMD...}`: everything on one machine."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from config.embedded import EmbeddedError, default_home, external_services
from config.stack import Stack

_EXIT_FAILED = 1
_EXIT_USAGE = 2
_EXIT_SIGNALLED = 128
_STARTING = frozenset({"up", "start", "run"})


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _up(stack: Stack) -> int:
    environment = stack.up()
    _say(f"Model Notary is ready at {environment['PUBLIC_URL']}/admin/")
    _say(f"Sign in as admin with the password in {stack.home / 'secrets' / 'admin-password'}")
    return 0


def _down(stack: Stack) -> int:
    stack.down()
    return 0


def _start(stack: Stack) -> int:
    stack.services.start()
    return 0


def _stop(stack: Stack) -> int:
    if stack.is_up():
        raise EmbeddedError("The processes still run on these services. Stop everything with: make down")
    stack.services.stop()
    return 0


def _status(stack: Stack) -> int:
    running = stack.status()
    for name, runs in running.items():
        _say(f"{name:<10} {'running' if runs else 'stopped'}")
    return 0 if all(running.values()) else _EXIT_FAILED


def _env(stack: Stack) -> int:
    for name, value in stack.services.environment().items():
        _say(f"export {name}={shlex.quote(value)}")
    return 0


_COMMANDS: dict[str, tuple[Callable[[Stack], int], str]] = {
    "up": (_up, "start services and processes, wait until they are ready"),
    "down": (_down, "stop processes and services"),
    "status": (_status, "tell what runs; exit 1 unless everything does"),
    "start": (_start, "start only PostgreSQL and Valkey"),
    "stop": (_stop, "stop PostgreSQL and Valkey"),
    "env": (_env, "print the environment, secrets included, as shell exports"),
}


def _run(stack: Stack, command: Sequence[str]) -> int:
    """Run `command` on the running product; stop again what was not running before."""
    had_services, had_processes = any(stack.services.status().values()), stack.is_up()
    try:
        return _run_child(command, stack.up())
    finally:
        if not had_processes:
            stack.down(services=not had_services)


def _run_child(command: Sequence[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=os.environ | environment) as child:  # noqa: S603 - what the user asked for
        try:
            code = child.wait()
        except BaseException:
            child.terminate()
            raise
    return code if code >= 0 else _EXIT_SIGNALLED - code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m config.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    for name, (_, text) in _COMMANDS.items():
        commands.add_parser(name, help=text)
    run = commands.add_parser("run", help="run a command with everything up, then stop what was started for it")
    run.add_argument("command", nargs="+", metavar="CMD")
    return parser.parse_args()


def _dispatch(name: str, command: Sequence[str]) -> int:
    if name in _STARTING and (names := external_services()):
        sys.stderr.write(
            f"{', '.join(names)} is set: the product is to use your own servers, so none is started here. "
            "Run its processes with docker-compose.yml or your own supervisor, or unset the variable.\n"
        )
        return _EXIT_USAGE
    stack = Stack(default_home(), _say)
    return _run(stack, command) if name == "run" else _COMMANDS[name][0](stack)


def main() -> int:
    """Do what the command line says.

    Returns:
        Exit code: 0 done, 1 failed, 2 not possible here; of `run`, the command's own.
    """
    arguments = _arguments()
    # So that what was started is stopped also when a time limit ends us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(_EXIT_SIGNALLED + number))
    try:
        return _dispatch(arguments.name, getattr(arguments, "command", ()))
    except (EmbeddedError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_FAILED
    except KeyboardInterrupt:
        return _EXIT_SIGNALLED + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
