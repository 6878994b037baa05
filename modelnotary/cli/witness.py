"""`modelnotary witness`: see to it that another organisation's log never shows two histories."""

import logging
import signal
import threading
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from modelnotary.errors import ModelNotaryError

witness = typer.Typer(no_args_is_help=True, help="Cosign the checkpoints of other organisations' logs.")

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The witness's own folder: its key and its memory.")]


@witness.command()
def create(
    folder: Folder,
    name: Annotated[str, typer.Option(help="What the witness is called, for instance witness.example.org/1.")],
) -> None:
    """Make a witness once, and print the public key that the logs and their readers need."""
    from modelnotary.witness_memory import WitnessFolder

    try:
        typer.echo(WitnessFolder(folder).create(name).verifier.text)
    except ModelNotaryError as error:
        _fail(error)


@witness.command()
def serve(
    folder: Folder,
    log: Annotated[list[str], typer.Option(help="Public key (vkey) of a log to follow; may be repeated.")],
    host: Annotated[str, typer.Option(help="Address to listen on; put a proxy that ends TLS before it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8460,
) -> None:
    """Answer requests at /add-checkpoint until told to stop."""
    from modelnotary.ledger.note import NoteVerifier
    from modelnotary.ledger.witness import Witness
    from modelnotary.witness_memory import WitnessFolder
    from modelnotary.witness_server import WitnessDesk, witness_server

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    memory = WitnessFolder(folder)
    keys: dict[str, list[NoteVerifier]] = {}
    try:
        for key in map(NoteVerifier.from_text, log):
            keys.setdefault(key.name, []).append(key)
        with memory.held():
            cosigner = memory.cosigner()
            desk = WitnessDesk(witness=Witness(keys), cosigner=cosigner, folder=memory, clock=lambda: int(time.time()))
            with witness_server((host, port), desk) as server:
                for number in (signal.SIGTERM, signal.SIGINT):
                    # shutdown() waits for the serving loop, which is this very thread.
                    signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
                typer.echo(f"{cosigner.verifier.text} follows {len(keys)} logs at port {server.server_port}")
                server.serve_forever()
    except (ModelNotaryError, OSError) as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"modelnotary witness: {error}", err=True)
    raise typer.Exit(1) from error
