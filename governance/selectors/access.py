"""Who can do what, since when, until when, and when it was last used."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max

from governance.enums import Scope
from governance.models import AccessReview, ApiToken, RoleGrant, Signature, User
from governance.models.people import place_of
from governance.selectors.people import grants_at
from modelnotary.times import format_time

DORMANT_AFTER = timedelta(days=90)
COLUMNS = (
    "account",
    "name",
    "kind",
    "about",
    "rights",
    "since",
    "until",
    "last_sign_in",
    "last_signature",
    "token_last_used",
    "dormant",
)


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that an account may do.

    Attributes:
        account: Whose it is.
        grant, token: The role or the token; neither for an administrator, whose power comes with the account.
        rights: What it allows, in words.
        since, until: For how long.
        last_signature: When the account last signed an approval.
        token_last_used: When the token was last shown; for a role, when any of the account's tokens was.
        dormant: Whether the account did nothing of all this for 90 days, nor was made since.
    """

    account: User
    grant: RoleGrant | None
    token: ApiToken | None
    rights: str
    since: datetime
    until: datetime | None
    last_signature: datetime | None
    token_last_used: datetime | None
    dormant: bool

    def row(self) -> tuple[str, ...]:
        """Give it as a row under `COLUMNS`."""
        account = self.account
        kind = "service account" if account.is_service else "administrator" if account.is_superuser else "person"
        about = self.grant.id if self.grant else self.token.id if self.token else account.id
        moments = (self.since, self.until, account.last_login, self.last_signature, self.token_last_used)
        told = (format_time(moment) if moment else "" for moment in moments)
        return (account.username, account.printed_name, kind, about, self.rights, *told, "yes" if self.dormant else "")


def late_review(*, at: datetime) -> AccessReview | None:
    """Give the review that should be closed by now and is not, if there is one."""
    return AccessReview.objects.filter(closing=None, due_at__lte=at).first()


def access_held(*, at: datetime) -> Iterator[Held]:
    """Give everything that somebody may do at a moment, by account: power over the installation, roles, tokens."""
    signed = dict(Signature.objects.values_list("signer").annotate(Max("signed_at")))
    shown = dict(ApiToken.objects.values_list("user").annotate(Max("last_used_at")))
    grants = grants_at(at=at).select_related("business_unit", "person__owner")
    tokens = ApiToken.objects.filter(revoked_at=None, expires_at__gt=at).select_related("user__owner")
    by_account: dict[str, list[RoleGrant | ApiToken]] = {}
    for grant in grants.order_by("role", "id"):
        by_account.setdefault(grant.person_id, []).append(grant)
    for token in tokens.order_by("name", "id"):
        by_account.setdefault(token.user_id, []).append(token)
    for account in User.objects.filter(is_active=True).select_related("owner").order_by("username"):
        used = [moment for moment in (account.last_login, signed.get(account.pk), shown.get(account.pk)) if moment]
        dormant = at - max([account.date_joined, *used]) > DORMANT_AFTER
        if account.is_superuser:
            yield Held(
                account,
                None,
                None,
                "Administers the installation",
                account.date_joined,
                None,
                signed.get(account.pk),
                shown.get(account.pk),
                dormant,
            )
        for thing in by_account.get(account.pk, []):
            yield _held(account, thing, signed.get(account.pk), shown.get(account.pk), dormant=dormant)


def _held(
    account: User, thing: RoleGrant | ApiToken, signed: datetime | None, shown: datetime | None, *, dormant: bool
) -> Held:
    if isinstance(thing, RoleGrant):
        rights = f"{thing.get_role_display()}, {place_of(thing.business_unit)}"
        return Held(account, thing, None, rights, thing.valid_from, thing.valid_to, signed, shown, dormant)
    rights = f"Token {thing.name}: {'; '.join(Scope(scope).label for scope in thing.scopes)}"
    return Held(account, None, thing, rights, thing.created_at, thing.expires_at, signed, thing.last_used_at, dormant)
