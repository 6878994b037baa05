"""The command line for auditors and pipelines. Each command loads what it needs and nothing more."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelnotary.cli.gate import gate
from modelnotary.cli.manifest import manifest
from modelnotary.cli.trust import trust_app
from modelnotary.cli.usage import USAGE_EXIT, CheckingCommand
from modelnotary.cli.witness import witness

app = typer.Typer(
    name="modelnotary",
    help="Verify the evidence of Model Notary offline, identify models and data, and ask the gate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(gate, name="gate")
app.add_typer(trust_app, name="trust")
app.add_typer(witness, name="witness")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def _version(wanted: bool) -> None:  # noqa: FBT001 -- the signature of an option's callback
    if wanted:
        from importlib.metadata import version

        typer.echo(f"modelnotary {version('modelnotary')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
]


@app.callback()
def _modelnotary(
    _: Version = False,  # noqa: FBT002 -- a flag
) -> None:
    pass


@app.command(cls=CheckingCommand)
def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Evidence bundles (zip or folder), exported logs and archives, report PDFs, decisions, proofs.",
        ),
    ],
    trust: Annotated[
        Path | None, typer.Option(help="The trust file to rely on, obtained from the operator beforehand.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint kept earlier; a bundle must continue it.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A witness policy (C2SP tlog-policy) that the checkpoints must meet.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 -- a flag
) -> None:
    """Verify evidence offline.

    Ends with 0 when everything is verified, 1 when something was tampered with, 2 when something is missing,
    3 when the command cannot be carried out.
    """
    from modelnotary.cli.progress import Progress
    from modelnotary.cli.rendering import reports_json, reports_text
    from modelnotary.verify.errors import VerifyError
    from modelnotary.verify.procedure import verify_paths
    from modelnotary.verify.result import exit_code_of

    try:
        with Progress(sys.stderr) as progress:
            reports = verify_paths(
                paths, trust_file=trust, checkpoint_file=checkpoint, policy_file=policy, progress=progress.tell
            )
    except VerifyError as error:
        typer.echo(f"modelnotary verify: {error}", err=True)
        raise typer.Exit(USAGE_EXIT) from error
    typer.echo(reports_json(reports) if as_json else reports_text(reports))
    raise typer.Exit(exit_code_of(reports))


app.command(cls=CheckingCommand)(manifest)
