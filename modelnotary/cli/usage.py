"""How a command says that it was called wrongly or cannot be carried out."""

from typing import Any

import typer
from typer.core import TyperCommand

USAGE_EXIT = 3


class CheckingCommand(TyperCommand):
    """A command whose exit codes 1 and 2 are findings, so a mistyped command line must end with another."""

    # Any: the context is a private class of Typer.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401, D102
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            error.exit_code = USAGE_EXIT
            raise
