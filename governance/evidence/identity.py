"""Digests of what has no bytes of its own: a system, and the organization that runs this installation."""

from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.digest import Digest

IDENTITY_FORMAT = "modelnotary-identity/v1"
ORGANIZATION = "organization"


def system_identity(system: str) -> Digest:
    """Give the digest by which evidence names a system: of canonical JSON of its kind and id, which never change."""
    return _identity("system", system)


def organization_identity() -> Digest:
    """Give the digest by which evidence names the organization."""
    return _identity(ORGANIZATION, ORGANIZATION)


def _identity(kind: str, name: str) -> Digest:
    return Digest.of(canonical_bytes({"format": IDENTITY_FORMAT, "kind": kind, "id": name}))
