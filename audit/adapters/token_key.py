"""Ed25519 keys that never leave a hardware module, reached through PKCS #11 (CKM_EDDSA, OASIS PKCS #11 v3.0 §2.3.14).

A key is named by a PKCS #11 URI (RFC 7512)::

    pkcs11:token=notary;object=lineage?module-path=/usr/lib/softhsm/libsofthsm2.so

Each signature opens a session of its own, so that a token that went away is noticed and one that came back is found.
A PIN that a token refused is not tried again before the process is started anew: modules lock after a few tries.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import KeyUnavailableError

if TYPE_CHECKING:
    import pkcs11

SCHEME = "pkcs11:"
_PATH = frozenset({"token", "serial", "object", "id", "type"})
_KEY_BYTES = 32
_OCTET_STRING = b"\x04\x20"
# A login belongs to the whole process, so sessions must not overlap.
_IN_TURN = Lock()
_STALE: set[str] = set()
"""Libraries that failed: some only find their tokens again after being initialised anew."""
_REFUSED: set[tuple[str, str | None, bytes | None, str]] = set()


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """Which key in which token, through which library.

    Attributes:
        text: The URI.
        module: Path of the PKCS #11 library.
        token: The token's label, and
        serial: its serial number; at least one of them.
        label: The key's label (CKA_LABEL), and
        id: its identifier (CKA_ID); at least one of them.
    """

    text: str
    module: str
    token: str | None
    serial: bytes | None
    label: str | None
    id: bytes | None

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a PKCS #11 URI.

        Raises:
            KeyUnavailableError: It does not name a token, a key and a library, or says something not understood.
        """
        path, _, query = text.removeprefix(SCHEME).partition("?")
        named, asked = _attributes(text, path, ";"), _attributes(text, query, "&")
        unknown = (named.keys() - _PATH) | (asked.keys() - {"module-path"})
        if unknown or named.get("type", b"private") != b"private":
            raise KeyUnavailableError(
                f"{text}: {', '.join(sorted(unknown)) or 'type'} is not understood in the address of a key; the PIN is "
                "given by PKCS11_PIN or PKCS11_PIN_FILE"
            )
        if not (named.keys() & {"token", "serial"} and named.keys() & {"object", "id"} and "module-path" in asked):
            raise KeyUnavailableError(
                f"{text}: the address of a key in a token has the form "
                "pkcs11:token=LABEL;object=LABEL?module-path=/PATH/OF/THE/LIBRARY.so"
            )
        try:
            return cls(
                text,
                asked["module-path"].decode(),
                named["token"].decode() if "token" in named else None,
                named.get("serial"),
                named["object"].decode() if "object" in named else None,
                named.get("id"),
            )
        except UnicodeDecodeError as error:
            raise KeyUnavailableError(f"{text}: the address of a key is UTF-8") from error


class TokenKey:
    """A private key in a token.

    Args:
        address: Where it is.
        pin: The token's user PIN.

    Raises:
        KeyUnavailableError: Library, token or key are not there, the PIN is wrong, or the key is not Ed25519.
    """

    def __init__(self, address: TokenAddress, pin: str) -> None:
        self._address, self._pin = address, pin
        with self._session() as session:
            self._private_key(session)
            self._public = self._public_key(session)

    def public_key(self) -> Ed25519PublicKey:
        """The public half, as it was when the key was first opened."""
        return self._public

    def sign(self, data: bytes, /) -> bytes:
        """Have the token sign.

        Raises:
            KeyUnavailableError: The token is gone, refuses, or gave a signature that does not hold.
        """
        from pkcs11 import Mechanism

        with self._session() as session:
            signature = bytes(self._private_key(session).sign(data, mechanism=Mechanism.EDDSA))
        try:
            self._public.verify(signature, data)
        except InvalidSignature as error:
            raise KeyUnavailableError(
                f"{self._address.text}: the token's signature does not hold under the public key beside it"
            ) from error
        return signature

    @contextmanager
    def _session(self) -> Iterator["pkcs11.Session"]:
        try:
            import pkcs11
        except ImportError as error:
            raise KeyUnavailableError(
                f"{self._address.text}: the Python package python-pkcs11 is not installed; install it, or use a key "
                "in a file"
            ) from error
        attempt = (self._address.module, self._address.token, self._address.serial, self._pin)
        with _IN_TURN:
            if attempt in _REFUSED:
                raise KeyUnavailableError(
                    f"{self._address.text}: the token refused PKCS11_PIN; it is not tried again, since tokens lock "
                    "after a few tries; set the right PIN and start this process anew"
                )
            try:
                with self._token().open(user_pin=self._pin) as session:
                    yield session
            except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
                _REFUSED.add(attempt)
                raise KeyUnavailableError(f"{self._address.text}: the token refused PKCS11_PIN") from error
            except pkcs11.PinLocked as error:
                raise KeyUnavailableError(
                    f"{self._address.text}: the token's PIN is locked; its security officer can set it anew"
                ) from error
            except pkcs11.PKCS11Error as error:
                _STALE.add(self._address.module)
                words = f"{type(error).__name__} {error}".rstrip()
                raise KeyUnavailableError(f"{self._address.text}: the token cannot be used ({words})") from error

    def _token(self) -> "pkcs11.Token":
        import pkcs11

        try:
            library = pkcs11.lib(self._address.module)
            if self._address.module in _STALE:
                library.reinitialize()
                _STALE.discard(self._address.module)
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            raise KeyUnavailableError(
                f"{self._address.text}: the library {self._address.module} cannot be loaded: {error}"
            ) from error
        try:
            return library.get_token(token_label=self._address.token, token_serial=self._address.serial)
        except pkcs11.NoSuchToken as error:
            raise KeyUnavailableError(f"{self._address.text}: there is no such token; is it plugged in?") from error
        except pkcs11.MultipleTokensReturned as error:
            raise KeyUnavailableError(f"{self._address.text}: several tokens fit; add serial=") from error

    def _private_key(self, session: "pkcs11.Session") -> "pkcs11.SignMixin":
        from pkcs11 import KeyType, ObjectClass, SignMixin

        key = self._key(session, ObjectClass.PRIVATE_KEY)
        if not isinstance(key, SignMixin) or key.key_type != KeyType.EC_EDWARDS:
            raise KeyUnavailableError(f"{self._address.text}: the key is of another kind than Ed25519")
        return key

    def _public_key(self, session: "pkcs11.Session") -> Ed25519PublicKey:
        from pkcs11 import Attribute, ObjectClass

        point = bytes(self._key(session, ObjectClass.PUBLIC_KEY)[Attribute.EC_POINT])
        # PKCS #11 2.40 wraps the point in a DER octet string, some modules leave it bare.
        raw = point.removeprefix(_OCTET_STRING) if len(point) == len(_OCTET_STRING) + _KEY_BYTES else point
        if len(raw) != _KEY_BYTES:
            raise KeyUnavailableError(f"{self._address.text}: the key is of another kind than Ed25519")
        return Ed25519PublicKey.from_public_bytes(raw)

    def _key(self, session: "pkcs11.Session", kind: "pkcs11.ObjectClass") -> "pkcs11.Key":
        import pkcs11

        half = "private" if kind == pkcs11.ObjectClass.PRIVATE_KEY else "public"
        wanted: dict[pkcs11.Attribute, object] = {pkcs11.Attribute.CLASS: kind}
        if self._address.label is not None:
            wanted[pkcs11.Attribute.LABEL] = self._address.label
        if self._address.id is not None:
            wanted[pkcs11.Attribute.ID] = self._address.id
        found = list(session.get_objects(wanted))  # to its end: a search that is left open outlives its session
        if not found:
            raise KeyUnavailableError(f"{self._address.text}: the token has no such {half} key")
        if len(found) > 1:
            raise KeyUnavailableError(f"{self._address.text}: several {half} keys fit; name object= and id=")
        return cast("pkcs11.Key", found[0])


def _attributes(address: str, text: str, separator: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, text.split(separator)):
        name, equals, value = item.partition("=")
        if not equals or name in found:
            raise KeyUnavailableError(f"{address}: {name[:40]!r} has no value, or two")
        found[name] = unquote_to_bytes(value)
    return found
