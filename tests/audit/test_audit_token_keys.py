"""Keys in a PKCS #11 token: a real one, SoftHSM, signs; whatever is wrong with it is said, and nothing is signed."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Database
from ledger_driver import connect, events_append, log_named, sequence_all
from test_audit_signer import served

from audit.adapters import token_key
from audit.adapters.token_key import TokenAddress, TokenKey
from audit.errors import KeyUnavailableError
from audit.keys import KeyRing, key_open
from audit.signer_memory import SignerMemory
from audit.signing import LogSigner
from modelnotary.ledger.checkpoint import Checkpoint, checkpoint_open, checkpoint_sign
from modelnotary.ledger.note import NoteSigner

LIBRARIES = (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"))
PIN = "86420975"


@dataclass(frozen=True)
class Token:
    """A SoftHSM token: where it is kept, and its library."""

    folder: Path
    library: Path

    def address(self, text: str = "token=notary;object=lineage") -> str:
        return f"pkcs11:{text}?module-path={self.library}"

    def key(self, text: str = "token=notary;object=lineage", *, pin: str = PIN) -> TokenKey:
        return TokenKey(TokenAddress.from_text(self.address(text)), pin)

    def gone(self) -> Path:
        """Pull the token out; give where it lies now."""
        return self.folder.rename(self.folder.with_name("pulled out"))


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Token:
    """A token with an Ed25519 and a P-256 key. With REQUIRE_OUTSIDE=1 a missing SoftHSM is a failure, else a skip."""
    library = next((path for path in LIBRARIES if path.exists()), None)
    tool = shutil.which("softhsm2-util")
    if library is None or tool is None:
        reason = "NO SOFTHSM: keys in PKCS #11 tokens are not tested (apt install softhsm2)"
        if os.environ.get("REQUIRE_OUTSIDE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("softhsm")
    folder = home / "tokens"
    folder.mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {folder}\n")
    os.environ["SOFTHSM2_CONF"] = str(home / "softhsm2.conf")  # the library reads it once, when it is loaded
    subprocess.run(
        [tool, "--init-token", "--free", "--label", "notary", "--pin", PIN, "--so-pin", "13579"],
        check=True,
        capture_output=True,
    )
    _keys_make(library)
    return Token(folder, library)


def _keys_make(library: Path) -> None:
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    kinds = {
        "lineage": (pkcs11.KeyType.EC_EDWARDS, "1.3.101.112", pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
        "lineage-2": (pkcs11.KeyType.EC_EDWARDS, "1.3.101.112", pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
        "p256": (pkcs11.KeyType.EC, "1.2.840.10045.3.1.7", pkcs11.Mechanism.EC_KEY_PAIR_GEN),
    }
    with pkcs11.lib(str(library)).get_token(token_label="notary").open(rw=True, user_pin=PIN) as session:
        for label, (kind, curve, mechanism) in kinds.items():
            parameters = session.create_domain_parameters(
                kind, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
            )
            parameters.generate_keypair(store=True, label=label, mechanism=mechanism)


@pytest.fixture(autouse=True)
def _tries_forgotten() -> Iterator[None]:
    yield
    token_key._REFUSED.clear()


def test_a_key_in_a_token_signs_as_one_in_a_file_does(token: Token) -> None:
    signer = NoteSigner("notary.example/lineage", token.key())
    checkpoint = Checkpoint(signer.name, 3, bytes(32))
    note = checkpoint_sign(checkpoint, signer)
    assert checkpoint_open(note, signer.verifier) == checkpoint
    assert checkpoint_sign(checkpoint, NoteSigner(signer.name, token.key())) == note  # Ed25519 has one signature
    assert token.key("token=notary;object=lineage-2").public_key() != signer.private_key.public_key()


FAULTS: dict[str, tuple[Callable[[Token], object], str]] = {
    "the wrong PIN": (lambda token: token.key(pin="wrong"), "the token refused PKCS11_PIN"),
    "no such token": (lambda token: token.key("token=other;object=lineage"), "no such token"),
    "no such key": (lambda token: token.key("token=notary;object=other"), "no such private key"),
    "a key of another kind": (lambda token: token.key("token=notary;object=p256"), "another kind than Ed25519"),
    "several keys": (lambda token: token.key("token=notary;id="), "several private keys fit"),
    "no such library": (
        lambda _: TokenKey(TokenAddress.from_text("pkcs11:token=a;object=b?module-path=/nowhere.so"), PIN),
        "the library /nowhere.so cannot be loaded",
    ),
    "a library that is none": (
        lambda _: TokenKey(TokenAddress.from_text(f"pkcs11:token=a;object=b?module-path={__file__}"), PIN),
        "cannot be loaded",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_wrong_with_a_token_is_said(token: Token, what: str) -> None:
    use, words = FAULTS[what]
    token.key()
    with pytest.raises(KeyUnavailableError, match=words) as refused:
        use(token)
    assert PIN not in str(refused.value)
    assert "wrong" not in str(refused.value)
    token.key().sign(b"the next one works")


def test_a_pin_that_was_refused_is_not_tried_again_lest_the_token_lock(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyUnavailableError, match=r"refused PKCS11_PIN$"):
        token.key(pin="wrong")
    monkeypatch.setattr(TokenKey, "_token", lambda _: pytest.fail("the token was asked again"))
    with pytest.raises(KeyUnavailableError, match="not tried again"):
        token.key(pin="wrong")


def test_without_the_library_for_tokens_it_says_what_to_install(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyUnavailableError, match="python-pkcs11 is not installed"):
        token.key()


ADDRESSES = {
    "no library": "pkcs11:token=a;object=b",
    "no token": "pkcs11:object=b?module-path=/x.so",
    "no key": "pkcs11:token=a?module-path=/x.so",
    "the PIN in the address": "pkcs11:token=a;object=b?module-path=/x.so&pin-value=1234",
    "something else": "pkcs11:token=a;object=b;slot=7?module-path=/x.so",
    "a public key": "pkcs11:token=a;object=b;type=public?module-path=/x.so",
    "a word twice": "pkcs11:token=a;token=b;object=b?module-path=/x.so",
    "a word without a value": "pkcs11:token;object=b?module-path=/x.so",
    "bytes that are no text": "pkcs11:token=%FF;object=b?module-path=/x.so",
    "nothing": "pkcs11:",
    "another scheme": "https://example.org/key",
    "a host's file": "file://elsewhere/key",
    "a path alone": "keys/lineage.key",
}


@pytest.mark.parametrize("what", ADDRESSES)
def test_a_malformed_address_of_a_key_is_refused(what: str, settings: Any) -> None:
    settings.PKCS11_PIN = PIN
    with pytest.raises(KeyUnavailableError):
        key_open(ADDRESSES[what])


def test_an_address_says_each_thing_as_it_is_meant() -> None:
    address = TokenAddress.from_text("pkcs11:token=a%3Bb%2C;serial=%00%01;id=%FF;type=private?module-path=/x%20y.so")
    assert (address.token, address.serial, address.label, address.id) == ("a;b,", b"\x00\x01", None, b"\xff")
    assert address.module == "/x y.so"


def test_a_token_needs_a_pin_and_a_pin_has_no_default(token: Token, settings: Any) -> None:
    settings.PKCS11_PIN = ""
    with pytest.raises(KeyUnavailableError, match="no default"):
        key_open(token.address())
    settings.PKCS11_PIN = PIN
    key_open(token.address()).sign(b"something")


def test_a_signer_whose_token_is_pulled_out_signs_nothing_and_goes_on_when_it_is_back(
    token: Token, database: Database, tmp_path: Path, settings: Any
) -> None:
    settings.PKCS11_PIN = PIN
    with connect(database, "auditor") as connection:
        origin = log_named(connection, "lineage").origin
    ring = KeyRing(lambda: [token.address()])
    memory = SignerMemory(tmp_path / "lineage.json", origin)
    signer = LogSigner(keys=ring, memory=memory, connect=partial(connect, database, "signer"))
    events_append(database, 3)
    sequence_all(database)
    verifier = NoteSigner(origin, token.key()).verifier
    first = checkpoint_open(signer.head_sign(now=datetime.now(UTC)), verifier)
    events_append(database, 2)
    sequence_all(database)
    with served({"lineage": signer}) as address:
        pulled_out = token.gone()
        away = httpx.post(f"{address}/logs/lineage/checkpoint")
        assert away.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "the token cannot be used" in away.text
        assert memory.load().frontier.size == first.size
        pulled_out.rename(token.folder)
        back = httpx.post(f"{address}/logs/lineage/checkpoint")
        assert back.status_code == HTTPStatus.OK, back.text
    assert checkpoint_open(back.content, verifier).size == first.size + 2
