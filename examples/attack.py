"""Act 3: on a copy of the database, a superuser switches the triggers off, edits one entry, and recomputes everything.

Inside the copy nothing looks wrong any more. The signer will not sign it, and the checkpoint kept outside convicts it.
This act alone goes behind the API: that is what it is about.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from config.embedded import EmbeddedServices
from modelnotary.ledger.chain import Chain
from modelnotary.ledger.merkle import leaf_hash
from modelnotary.ledger.tree import Frontier

if TYPE_CHECKING:
    from examples.demo import Demo

CHECKOUT = Path(__file__).resolve().parent.parent
COPY = "attacked_copy"
DATABASES = ("DATABASE_URL", "AUDITOR_DATABASE_URL", "SIGNER_DATABASE_URL")


@dataclass(frozen=True)
class Forgery:
    """What the attacker did."""

    index: int
    size: int
    root: bytes


def attack_play(demo: "Demo") -> dict[str, Any]:
    """Forge, have the forgery exported and verified, and give what the verifier found."""
    services = EmbeddedServices(demo.products.parent)
    services.copy_database("modelnotary", COPY)
    try:
        forgery = _forge(services.superuser_url(COPY), demo.summary["bank"]["denied"]["decision"]["id"])
        demo.say(f"  entry {forgery.index} of {forgery.size} now says that the denied version passed")
        demo.say("  every hash above it was computed again")
        environment = _environment()
        refusal = _ask_signer(demo, environment)
        demo.say(f"  signer: {refusal}")
        found = _verify_export(demo, environment)
    finally:
        services.drop_database(COPY)
    for line in found.stdout.splitlines():
        demo.say(f"  {line}")
    assert found.returncode == 1, f"the forgery was not detected (exit {found.returncode})"
    return {
        "entry": forgery.index,
        "forged_root": forgery.root.hex(),
        "signer": refusal,
        "verifier_exit": found.returncode,
    }


def _forge(superuser_url: str, decision: str) -> Forgery:
    """Turn a denial into a pass in the ledger, and make the copy consistent with it."""
    with psycopg.connect(superuser_url) as connection:
        for table in ("body", "entry", "node", "head"):
            connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE ledger.body SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), "
            '\'"state":"failed"\', \'"state":"passed"\'), \'UTF8\') '
            "WHERE id = "
            "(SELECT body_id FROM ledger.entry_view WHERE event_type = 'decision.issued' AND subject_id = %s)",
            (decision,),
        )
        return _recompute(connection, decision)


def _recompute(connection: psycopg.Connection, decision: str) -> Forgery:
    rows = connection.execute(
        "SELECT v.seq, v.bytes, v.subject_id = %s AND v.event_type = 'decision.issued', l.log_id, l.origin "
        "FROM ledger.entry_view v JOIN ledger.log l USING (origin) "
        "WHERE l.name = 'lineage' AND v.seq IS NOT NULL ORDER BY v.seq",
        (decision,),
    ).fetchall()
    log_id, origin = rows[0][3], rows[0][4]
    leaves = [leaf_hash(row[1]) for row in rows]
    frontier, chain = Frontier(), Chain(origin)
    nodes, links = frontier.extend(leaves), chain.extend(leaves)
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE ledger.entry SET leaf = %s, chain = %s WHERE log_id = %s AND seq = %s",
            [(leaf, link, log_id, row[0]) for leaf, link, row in zip(leaves, links, rows, strict=True)],
        )
        cursor.executemany(
            "UPDATE ledger.node SET hash = %s WHERE log_id = %s AND level = %s AND idx = %s",
            [(node.hash, log_id, node.level, node.index) for node in nodes],
        )
    connection.execute(
        "UPDATE ledger.head SET size = %s, root = %s, chain = %s, frontier = %s WHERE log_id = %s",
        (frontier.size, frontier.root(), chain.head, frontier.hashes, log_id),
    )
    return Forgery(next(row[0] for row in rows if row[2]), frontier.size, frontier.root())


def _environment() -> dict[str, str]:
    """Give the environment in which the product's own commands work on the copy."""
    moved = {name: urlunsplit(urlsplit(os.environ[name])._replace(path=f"/{COPY}")) for name in DATABASES}
    return dict(os.environ) | moved


def _ask_signer(demo: "Demo", environment: dict[str, str]) -> str:
    """Have the signer's own code, with a copy of its memory, look at the forged head."""
    memory = demo.products / "attack" / "signer"
    shutil.copytree(demo.products.parent / "signer", memory)
    asked = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "manage.py", "head_sign", "lineage", "--memory", str(memory)],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode != 0, "the signer signed a forged head"
    return asked.stderr.strip().splitlines()[-1].removeprefix("CommandError: ")


def _verify_export(demo: "Demo", environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Export the evidence from the copy as an auditor would be given it, and verify it with what was kept outside."""
    bundle = demo.products / "attack" / "bundle.zip"
    digest = demo.summary["bank"]["allowed"]["digest"]
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "manage.py", "bundle_export", digest, str(bundle)],
        cwd=CHECKOUT,
        env=environment,
        check=True,
        capture_output=True,
    )
    found = subprocess.run(  # noqa: S603 - our own command
        [
            Path(sys.executable).with_name("modelnotary"),
            "verify",
            bundle,
            "--trust",
            demo.products / "trust.json",
            "--checkpoint",
            demo.products / "checkpoint.txt",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    demo.save("attack/verification.txt", found.stdout.encode())
    return found
