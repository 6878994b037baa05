"""Free TCP ports of the loopback interface."""

import random
import socket
from itertools import islice

from config.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
# Below the ranges from which systems take the ports of outgoing connections: a port stays free meanwhile.
_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(number: int) -> list[int]:
    """Give that many different free ports, at random.

    Never the same for everybody, such as 8000: two web servers may listen on one port without noticing and would
    then take turns in answering.

    Raises:
        EmbeddedError: Not enough free ports were found.
    """
    candidates = random.SystemRandom().sample(range(_FIRST, _LAST), _ATTEMPTS)
    found = list(islice(filter(is_free, candidates), number))
    if len(found) < number:
        raise EmbeddedError(
            f"No free TCP port on {LOOPBACK} between {_FIRST} and {_LAST}. End programs that hold them."
        )
    return found
