"""The authenticator app on an officer's device, as a program: RFC 6238 with the standard library alone.

    python -m examples.authenticator SECRET

prints the code of now.
"""

import base64
import hashlib
import hmac
import struct
import sys
import time

from modelnotary.client.api import NotaryClient

STEP_SECONDS = 30
_used: dict[str, int] = {}


def authenticator_enrol(officer: NotaryClient, password: str) -> str:
    """Enrol a device with its first code; give the secret that it holds from then on."""
    made = officer.post("authenticators", {"name": "demonstration device", "password": password})
    secret: str = made["secret"]
    officer.post(f"authenticators/{made['id']}/confirmation", {"code": code_unused(secret)})
    return secret


def code_unused(secret: str) -> str:
    """Give a code that this device has not shown yet; a code signs once, so wait for the next if need be."""
    step = max(int(time.time()) // STEP_SECONDS, _used.get(secret, 0) + 1)
    # The server takes a code one step early, as it does from a device whose clock is fast.
    time.sleep(max(0.0, (step - 1) * STEP_SECONDS - time.time()))
    _used[secret] = step
    return code_of(secret, step)


def code_of(secret: str, step: int) -> str:
    """Compute the six digits of a time step."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    (number,) = struct.unpack_from(">I", digest, offset)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


if __name__ == "__main__":
    print(code_of(sys.argv[1], int(time.time()) // STEP_SECONDS))
