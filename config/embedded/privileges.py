"""How root runs a server that refuses to be root, without adding users or opening folders to others."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from config.embedded.errors import EmbeddedError, RootRefusedError


@dataclass(frozen=True)
class Guise:
    """Who a server runs as.

    Attributes:
        prefix: Arguments that go before the server's own.
        owner: Uid that the server's data folder must belong to.
    """

    prefix: tuple[str, ...]
    owner: int

    def adopt(self, folder: Path) -> None:
        """Make `folder` and what is in it belong to the owner, where an earlier start was in another guise.

        Raises:
            EmbeddedError: The folder is another user's, and the caller is not root.
        """
        if folder.stat().st_uid == self.owner:
            return
        if os.geteuid() != 0:
            raise EmbeddedError(f"{folder} belongs to another user. Run as that user, or remove it to begin anew.")
        for parent, _, files in os.walk(folder):
            for path in (parent, *(os.path.join(parent, file) for file in files)):  # noqa: PTH118
                os.chown(path, self.owner, -1, follow_symlinks=False)


@cache
def unprivileged_guise() -> Guise:
    """Choose how to run a server as an ordinary user.

    An ordinary user runs it directly. For root, a user namespace renames root inside it, and nothing on disk
    changes; where those are forbidden, the server becomes nobody, let through root's private folders.

    Raises:
        RootRefusedError: The caller is root and neither is permitted.
    """
    if os.geteuid() != 0:
        return Guise((), os.geteuid())
    for candidate in (user_namespace(), become_nobody()):
        if candidate and _permitted(candidate):
            return candidate
    raise RootRefusedError(
        "PostgreSQL does not run as root, and this system permits neither user namespaces (unshare) "
        "nor a change of user (setpriv). Run as an ordinary user, "
        "or set DATABASE_URL and BROKER_URL to your own servers."
    )


def user_namespace() -> Guise | None:
    """Root under the name of nobody: initdb insists that its user has a name."""
    if not (unshare := shutil.which("unshare")):
        return None
    nobody = pwd.getpwnam("nobody")
    return Guise((unshare, "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"), owner=0)


def become_nobody() -> Guise | None:
    """The user nobody, with the one capability to reach a data folder inside root's private folders."""
    if not (setpriv := shutil.which("setpriv")):
        return None
    nobody = pwd.getpwnam("nobody")
    # Without this bit access(2), by which initdb looks for its programs, forgets the capability.
    keep = ("--securebits=+no_setuid_fixup",)
    identity = (f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
    reach = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return Guise((setpriv, *keep, *identity, *reach), owner=nobody.pw_uid)


def _permitted(guise: Guise) -> bool:
    return subprocess.run([*guise.prefix, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603
