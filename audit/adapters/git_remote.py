"""A branch of a git repository that somebody else hosts: every checkpoint is a commit, and none is ever forced away."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from audit.adapters.anchor import checkpoint_read, log_folder
from audit.enums import AnchorKind
from audit.errors import AnchorError

_SECONDS = 60
_AUTHOR = {"NAME": "Model Notary", "EMAIL": "notary@localhost"}


@dataclass(frozen=True, slots=True)
class GitRemote:
    """Commits each checkpoint as ``ORIGIN/checkpoint`` on a branch.

    The branch says which checkpoint was the newest one: a smaller one, or another of its size, is refused, so that a
    database restored from a backup is noticed here too.
    """

    kind: ClassVar[AnchorKind] = AnchorKind.GIT
    url: str
    branch: str

    @property
    def location(self) -> str:
        """Repository and branch."""
        return f"git+{self.url}#{self.branch}"

    def publish(self, note: bytes) -> bytes:
        """Push a commit that holds the checkpoint; see `Anchor.publish`.

        Returns:
            The id of a commit that holds it.
        """
        checkpoint = checkpoint_read(note)
        path = str(log_folder(checkpoint.origin) / "checkpoint")
        with TemporaryDirectory() as folder:
            git = _Git(Path(folder))
            git("init", "--quiet", "--bare", folder)
            parent = self._parent(git)
            if parent and (kept := git.content(parent, path)) is not None:
                newest = checkpoint_read(kept)
                if kept == note:
                    return parent.encode()
                if newest.size >= checkpoint.size:
                    raise AnchorError(
                        f"{self.location} holds a checkpoint of {newest.size} entries, which one of {checkpoint.size} "
                        "cannot follow: the database was rolled back, or one of them is forged"
                    )
            message = f"{checkpoint.origin} has {checkpoint.size} entries"
            commit = git.commit(parent, path, note, message)
            git("push", "--quiet", "--", self.url, f"{commit}:refs/heads/{self.branch}")
        return commit.encode()

    def latest(self, origin: str) -> bytes | None:
        """Give the checkpoint that the branch holds now; see `ReadableAnchor.latest`."""
        path = str(log_folder(origin) / "checkpoint")
        with TemporaryDirectory() as folder:
            git = _Git(Path(folder))
            git("init", "--quiet", "--bare", folder)
            parent = self._parent(git)
            return git.content(parent, path) if parent else None

    def _parent(self, git: "_Git") -> str | None:
        """Fetch the newest commit of the branch; None when there is no such branch yet."""
        name = f"refs/heads/{self.branch}"
        if not git("ls-remote", "--", self.url, name):
            return None
        git("fetch", "--quiet", "--depth=1", "--no-tags", "--", self.url, name)
        return git("rev-parse", "--verify", "FETCH_HEAD").decode().strip()


class _Git:
    """Runs git in a repository of its own, with nobody's configuration and no questions."""

    def __init__(self, folder: Path) -> None:
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "LC_ALL": "C",
            "GIT_DIR": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file:https:ssh",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _AUTHOR.items()},
        }

    def __call__(self, *arguments: str, given: bytes = b"") -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
                ["git", *arguments],  # noqa: S607 - the system's git
                env=self._environment,
                input=given,
                capture_output=True,
                check=True,
                timeout=_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()
            raise AnchorError(f"git {arguments[0]} failed: {reason}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AnchorError(f"git {arguments[0]} failed: {error}") from error
        return done.stdout

    def content(self, commit: str, path: str) -> bytes | None:
        """Give a file of a commit, if it has it."""
        if not self("ls-tree", commit, "--", path):
            return None
        return self("cat-file", "blob", f"{commit}:{path}")

    def commit(self, parent: str | None, path: str, content: bytes, message: str) -> str:
        """Make a commit that differs from its parent in one file; give its id."""
        if parent:
            self("read-tree", parent)
        blob = self("hash-object", "-w", "--stdin", given=content).decode().strip()
        self("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        tree = self("write-tree").decode().strip()
        parents = ["-p", parent] if parent else []
        return self("commit-tree", *parents, "-m", message, tree).decode().strip()
