"""The secrets of authenticators, encrypted under keys that lie outside the database.

Each person's authenticators share a key, which is wrapped and rotated like the keys under which personal values are
sealed. A copy of the database alone computes no code.
"""

from audit.errors import ErasedError
from audit.personal import subject_key_find
from audit.sealing import persons_prepare
from governance.errors import ReauthenticationError
from governance.models import Authenticator, User


def secret_seal(authenticator: Authenticator, secret: str) -> bytes:
    """Encrypt the secret of an authenticator, in the caller's transaction."""
    holder = _holder(authenticator.user)
    persons_prepare(persons={holder})
    key = subject_key_find(person=holder)
    assert key is not None
    return key.encrypt(secret, authenticator.id.encode())


def secret_open(authenticator: Authenticator) -> str:
    """Read what `secret_seal` wrote.

    Raises:
        ReauthenticationError: The key does not exist any more, or the row holds something else.
    """
    unreadable = ReauthenticationError(
        f'the secret of the authenticator "{authenticator.name}" cannot be read any more; '
        "have an administrator revoke it, and enrol anew"
    )
    key = subject_key_find(person=_holder(authenticator.user))
    if key is None:
        raise unreadable
    try:
        return key.decrypt(bytes(authenticator.secret), authenticator.id.encode())
    except ErasedError as error:
        raise unreadable from error


def _holder(user: User) -> str:
    return f"authenticator/{user.id}"
