"""Signatures by passkey among the entries of a log: step 10 of the procedure in `bundle`.

Whoever runs the installation can write any entry; a signature by a person's passkey they cannot make. So each is
checked against the key that its own entry `passkey.registered` names, and against what the entry says that was signed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from modelnotary.attest.errors import PasskeyError
from modelnotary.attest.passkey import Assertion, RelyingParty, assertion_verify
from modelnotary.errors import TimeFormatError
from modelnotary.ledger.canonical import Json, canonical_bytes
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import TextError
from modelnotary.ledger.event import Event
from modelnotary.ledger.text import base64url_bytes
from modelnotary.times import parse_time
from modelnotary.verify.result import Check, failed, passed

PASSKEY_REGISTERED = "passkey.registered"
PASSKEY_REVOKED = "passkey.revoked"
APPROVAL_SIGNED = "approval.signed"
CHECK = "passkeys"
_BY_PASSKEY = frozenset({"statement", "passkey", "public_key", "assertion"})
_STATED_TWICE = ("decision", "vote", "role", "meaning", "reason")
_GOOD_FOR = timedelta(seconds=120)


def is_about_passkeys(event: Event) -> bool:
    """Tell whether an entry registers or ends a passkey, or is signed by one."""
    if event.type == APPROVAL_SIGNED:
        return not _BY_PASSKEY.isdisjoint(event.data)
    return event.type in {PASSKEY_REGISTERED, PASSKEY_REVOKED}


def passkeys_check(entries: Iterable[tuple[int, Event]], *, pruned: bool) -> list[Check]:
    """Check every signature by passkey among the entries of a log and its successors.

    1. The entry's digest is that of the statement in it, and both say the same of decision, vote, role and reason.
    2. The passkey was registered by the person who signs, with this key, and not revoked before.
    3. The passkey signed the statement, for the party and within the time that it states; see `assertion_verify`.

    Not checked: the counter, because entries of two signatures at once may stand in another order than they were made.

    Args:
        entries: those that `is_about_passkeys` holds for, each with its index, in their order.
        pruned: whether entries at the start of the log are gone. A key that was registered in one of them is taken
            from the signature's own entry and counted in the words of the check.

    Returns:
        Nothing where no passkey signed.
    """
    known, checks, count = _Known(), [], 0
    for index, event in entries:
        try:
            if event.type != APPROVAL_SIGNED:
                known.take(event)
                continue
            count += 1
            _require_signed(event, known, pruned=pruned)
        except (PasskeyError, TextError, TimeFormatError) as error:
            checks.append(failed(CHECK, f"entry {index}: {error}", span=(index, index + 1)))
    if checks or not count:
        return checks
    aside = f"; {known.gone} with keys from entries that are gone" if known.gone else ""
    return [passed(CHECK, f"all {count} signatures by passkey hold{aside}")]


@dataclass(frozen=True, slots=True)
class _Registered:
    user: str
    party: str
    key: str


@dataclass(slots=True)
class _Known:
    """The passkeys that the entries so far tell of."""

    keys: dict[str, _Registered] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    gone: int = 0

    def take(self, event: Event) -> None:
        """Learn of a passkey, or of its end."""
        if event.type == PASSKEY_REVOKED:
            self.revoked.add(event.subject.id)
            return
        made = _Registered(*(_said(event.data.get(name), name) for name in ("user", "rp_id", "public_key")))
        if made.user != event.actor.id:
            raise PasskeyError("registration", f"the passkey {event.subject.id} was registered by somebody else")
        if self.keys.setdefault(event.subject.id, made) != made:
            raise PasskeyError("registration", f"the passkey {event.subject.id} is registered a second time")


def _require_signed(event: Event, known: _Known, *, pruned: bool) -> None:
    statement = event.data.get("statement")
    if not isinstance(statement, dict):
        raise PasskeyError("statement", "the statement that was signed is missing")
    signed = canonical_bytes(statement)
    twice = [name for name in _STATED_TWICE if statement.get(name) != event.data.get(name)]
    if event.subject.digest != Digest.of(signed) or twice:
        raise PasskeyError("statement", "the entry does not say what the statement in it says")
    if statement.get("signer") != event.actor.id or statement.get("method") != "passkey":
        raise PasskeyError("statement", "the statement is not one that this person signs by passkey")
    party = RelyingParty.from_json(statement.get("relying_party"))
    prepared = parse_time(_said(statement.get("prepared_at"), "prepared_at"))
    if not prepared <= event.at < prepared + _GOOD_FOR:
        raise PasskeyError("time", "the statement was not prepared within the two minutes before")
    key = _key_of(event, known, party, pruned=pruned)
    assertion = Assertion.from_json(event.data.get("assertion"))
    assertion_verify(assertion, statement=signed, party=party, public_key=base64url_bytes(key))


def _key_of(event: Event, known: _Known, party: RelyingParty, *, pruned: bool) -> str:
    name, key = (_said(event.data.get(member), member) for member in ("passkey", "public_key"))
    if name in known.revoked:
        raise PasskeyError("key", f"the passkey {name} was revoked before")
    if name not in known.keys and pruned:
        known.gone += 1
        return key
    if known.keys.get(name) != _Registered(event.actor.id, party.id, key):
        raise PasskeyError("key", f"no entry before registers the passkey {name} with this key for who signs")
    return key


def _said(value: Json | None, name: str) -> str:
    if not isinstance(value, str):
        raise PasskeyError("statement", f"{name} is missing or no text")
    return value
