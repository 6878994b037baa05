"""`modelnotary trust`: keep a pinned trust file in step with logs that rotate their keys."""

from pathlib import Path
from typing import Annotated

import typer

trust_app = typer.Typer(no_args_is_help=True, help="Keep a trust file in step with logs that rotate their keys.")


@trust_app.callback()
def _trust() -> None:
    pass


@trust_app.command()
def follow(
    trust: Annotated[Path, typer.Argument(metavar="TRUST", help="The trust file that you rely on; it is not changed.")],
    proofs: Annotated[
        list[Path],
        typer.Argument(metavar="PROOF", help="Proofs of entries key.rotated, the oldest first, or a rotations.json."),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the trust file that names the new keys.")],
) -> None:
    """Follow logs to their new keys, by proofs that the keys you have signed."""
    from modelnotary.verify.errors import VerifyError
    from modelnotary.verify.evidence_file import evidence_read
    from modelnotary.verify.rotations import MAX_ROTATIONS_BYTES, ROTATIONS_FILE, rotations_parse
    from modelnotary.verify.trust import Trust

    try:
        followed = Trust.from_file(trust)
        for path in proofs:
            data = evidence_read(path, MAX_ROTATIONS_BYTES)
            for proof in rotations_parse(data) if path.name == ROTATIONS_FILE else (data,):
                followed = followed.followed(proof)
        out.write_bytes(followed.to_bytes())
    except (VerifyError, OSError) as error:
        typer.echo(f"modelnotary trust: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{out}: fingerprint {followed.fingerprint}")
