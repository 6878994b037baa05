"""``modelnotary`` and ``python -m modelnotary.cli``."""

import sys
from io import TextIOWrapper

from modelnotary.cli.app import app


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without the signs we print must not turn a verdict into a crash.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="modelnotary")


if __name__ == "__main__":
    main()
