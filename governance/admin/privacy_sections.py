"""What the pages show of erasures and legal holds: everything but whom they are about."""

from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from audit.enums import ErasureState, HoldScope, LineageEvent
from audit.models import Erasure, LegalHold
from audit.selectors import entry_newest
from governance.admin.cells import Cell, badge, code, command, link, moment, stack
from governance.admin.sections import Facts
from governance.models import User
from modelnotary.ledger.event import Event

_ROTATE = "DJANGO_DATABASE_ROLE=migrator python manage.py subject_keys_rotate"
_SEALED = "Sealed. Who it is, only those know who type the identifier."


def erasure_badge(erasure: Erasure) -> SafeString:
    """Show how far an erasure is."""
    return badge(erasure.state, erasure.get_state_display())


def hold_badge(hold: LegalHold) -> SafeString:
    """Show whether a hold is in force."""
    return badge("held", "In force") if hold.released_at is None else badge("released", "Released")


def hold_scope(hold: LegalHold) -> str:
    """Say what a hold is on, without saying who."""
    return "One person" if hold.scope == HoldScope.PERSON else f"The whole {hold.log} log"


def officer_link(identity: str | None) -> Cell:
    """Lead to the account of who acted, by the name that the account signs with."""
    user = User.objects.filter(pk=identity).first() if identity else None
    return link(user, user.printed_name) if user else identity


def erasure_section(erasure: Erasure) -> Facts:
    """Show what was ordered."""
    return Facts(
        title="Order",
        rows=(
            ("Id", code(erasure.id)),
            ("Legal basis", erasure.get_basis_display()),
            ("Reason", erasure.reason),
            ("The person", _SEALED if erasure.person else "Not kept any more."),
            ("Asked by", officer_link(erasure.requested_by)),
            ("Asked", stack((moment(erasure.requested_at), f"{timesince(erasure.requested_at)} ago"))),
            ("Approved by", officer_link(erasure.approved_by)),
            ("Approved", moment(erasure.approved_at)),
        ),
    )


def carrying_out_section(erasure: Erasure) -> tuple[Facts, ...]:
    """Say who carries an approved erasure out and how, or what came of it."""
    if erasure.state == ErasureState.APPROVED:
        rows: tuple[tuple[str, Cell], ...] = (
            ("By", "The operator, as the owner of the tables; the web pages have no right to destroy keys."),
            ("Command", command(_ROTATE)),
            ("Then", "Back up the database and the key file, and destroy every other copy of the key file."),
        )
        return (Facts(title="Carrying it out", rows=rows),)
    if erasure.state == ErasureState.ERASED:
        return (Facts(title="Result", rows=_result_rows(erasure)),)
    return ()


def _result_rows(erasure: Erasure) -> tuple[tuple[str, Cell], ...]:
    erased = entry_newest(subject_id=erasure.id, event=LineageEvent.PRIVACY_ERASED)
    if erased is None:
        return (("Entry", "The ledger has no entry that says so. Run manage.py ledger_verify."),)
    generation = Event.from_bytes(bytes(erased.bytes)).data["generation"]
    return (
        ("Carried out", moment(erased.at)),
        ("Keys", f"Those of all generations before {generation} were destroyed; this person's has no successor."),
        ("Left", "The entries, with commitments that nobody can open; every proof still verifies."),
        ("Complete when", f"every copy of the key file from before generation {generation} is destroyed."),
    )


def hold_section(hold: LegalHold) -> Facts:
    """Show what is held, by whom and why."""
    released: tuple[tuple[str, Cell], ...] = (
        ("Released by", officer_link(hold.released_by)),
        ("Released", moment(hold.released_at)),
        ("Why it was released", hold.release_reason),
    )
    on_person = (("The person", _SEALED if hold.person else "Not kept any more."),) if hold.log is None else ()
    return Facts(
        title="Hold",
        rows=(
            ("Id", code(hold.id)),
            ("On", hold_scope(hold)),
            *on_person,
            ("Matter", hold.matter),
            ("Reason", hold.reason),
            ("Set by", officer_link(hold.set_by)),
            ("Set", stack((moment(hold.set_at), f"{timesince(hold.set_at)} ago"))),
            *(released if hold.released_at else ()),
        ),
    )
