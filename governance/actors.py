"""People as the ledger names them: values, not references."""

from governance.models import User
from modelnotary.ledger.event import Actor


def actor_of(user: User) -> Actor:
    """Give the ledger's value for a person or a service account."""
    return Actor(kind="service" if user.is_service else "person", id=user.id, name=user.printed_name)


def system_actor(process: str) -> Actor:
    """Give the ledger's value for one of the product's own processes."""
    return Actor(kind="system", id=process, name=f"Model Notary {process}")
