"""A timestamp authority of somebody else, made of OpenSSL."""

import subprocess
from pathlib import Path

type Reply = tuple[int, str, bytes]

_CONFIGURATION = """
[tsa]
dir = {folder}
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[extensions]
extendedKeyUsage = critical,timeStamping
"""


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)


class OpensslAuthority:
    """A timestamp authority: a root certificate, one for timestamps, and what answers a query."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tsa.cnf").write_text(_CONFIGURATION.format(folder=folder))
        new_key = ("req", "-newkey", "rsa:2048", "-noenc")
        for command in (
            (*new_key, "-x509", "-subj", "/CN=root", "-days", "2", "-keyout", "root.key", "-out", "root.pem"),
            (*new_key, "-subj", "/CN=timestamps", "-keyout", "tsa.key", "-out", "tsa.csr"),
            (
                *("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-out", "tsa.pem"),
                *("-days", "2", "-extfile", "tsa.cnf", "-extensions", "extensions"),
            ),
        ):
            assert not openssl(folder, *command).returncode

    def reply(self, query: bytes) -> Reply:
        """What the authority answers to a query, in DER."""
        (self.folder / "query").write_bytes(query)
        made = openssl(
            self.folder, "ts", "-reply", "-config", "tsa.cnf", "-section", "tsa", "-queryfile", "query", "-out", "reply"
        )
        assert not made.returncode, made.stderr
        return 200, "application/timestamp-reply", (self.folder / "reply").read_bytes()

    def token(self, data: bytes) -> bytes:
        """A timestamp of the data: the token alone, in DER."""
        (self.folder / "data").write_bytes(data)
        for command in (
            ("ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query"),
            ("ts", "-reply", "-config", "tsa.cnf", "-section", "tsa", "-queryfile", "query", "-out", "reply"),
            ("ts", "-reply", "-in", "reply", "-token_out", "-out", "token"),
        ):
            assert not openssl(self.folder, *command).returncode
        return (self.folder / "token").read_bytes()

    @property
    def root(self) -> str:
        """The certificate that all trust rests on, in PEM form."""
        return (self.folder / "root.pem").read_text()

    def verify(self, token: bytes, data: bytes) -> bool:
        """Whether OpenSSL accepts the token as a timestamp of the data."""
        (self.folder / "token").write_bytes(token)
        (self.folder / "data").write_bytes(data)
        command = ("ts", "-verify", "-token_in", "-in", "token", "-data", "data", "-CAfile", "root.pem")
        return "Verification: OK" in openssl(self.folder, *command).stdout
