"""Free TCP ports of the loopback interface."""

import secrets
import socket

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


def free_port(preferred: int) -> int:
    """Give `preferred` if it is free, else some free port.

    Raises:
        EmbeddedError: No free port was found.
    """
    if is_free(preferred):
        return preferred
    for _ in range(_ATTEMPTS):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if is_free(port):
            return port
    raise EmbeddedError(f"No free TCP port on {LOOPBACK} between {_FIRST} and {_LAST}. End programs that hold them.")
