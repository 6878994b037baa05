"""People, service accounts and tokens. A token's secret is nowhere, and its stored hash is not shown either."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column
from governance.admin.cells import Cell, badge, code, link, moment
from governance.admin.deactivation import close_actions, close_addresses, handover_section
from governance.admin.grants import grants_section, propose_actions, propose_addresses
from governance.admin.ledger import ledger_section
from governance.admin.sections import Facts, Page, Table
from governance.enums import Scope
from governance.models import ApiToken, User


def role_words(user: User) -> str:
    """Name the roles of a person."""
    return ", ".join(role.label for role in user.roles)


def user_kind(user: User) -> str:
    """Say in a word what an account is."""
    if user.is_service:
        return "service account"
    return "administrator" if user.is_superuser else "person"


@admin.register(User)
class UserAdmin(GovernedAdmin[User]):
    """Accounts. Commands make them; the roles that people hold are granted here."""

    kinds = ("user",)
    deferred = ("password",)
    list_display = (
        "username",
        "name",
        "what",
        "held",
        person_column("owner"),
        "is_active",
        moment_column("last_login"),
    )
    list_select_related = ("owner",)
    list_filter = ("is_service", "is_superuser", "is_active")
    search_fields = ("id__exact", "username__icontains", "last_name__icontains")
    ordering = ("username",)

    @admin.display(description="name")
    def name(self, user: User) -> Cell:
        """Show the name as it stands under signatures."""
        return user.printed_name

    @admin.display(description="account")
    def what(self, user: User) -> Cell:
        """Say what it is."""
        return user_kind(user)

    @admin.display(description="roles")
    def held(self, user: User) -> Cell:
        """Name the roles."""
        return role_words(user) or None

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read the roles of all rows at once."""
        return super().get_queryset(request).prefetch_related("role_grants")

    def addresses(self) -> tuple[Address, ...]:
        """Offer to propose a role and to close the account."""
        return (*propose_addresses(self), *close_addresses(self))

    def page(self, request: HttpRequest, record: User) -> Page:
        """Show what an account may do and what it did."""
        signatures = record.signatures.select_related("request__decision__model_version__model")[:50]
        return Page(
            heading=record.printed_name,
            lead=user_kind(record).capitalize(),
            badge=badge("passed", "active") if record.is_active else badge("failed", "closed"),
            actions=(*propose_actions(request, record), *close_actions(request, record)),
            sections=(
                Facts(title="Account", rows=_user_rows(record)),
                grants_section(record),
                Table(
                    title="Signatures",
                    columns=("Decision", "Signature", "Role", "Time"),
                    rows=tuple(
                        (
                            link(item.request.decision),
                            link(item, item.get_vote_display()),
                            item.get_role_display(),
                            moment(item.signed_at),
                        )
                        for item in signatures
                    ),
                    empty="This account has signed nothing.",
                ),
                Table(
                    title="Tokens",
                    columns=("Token", "Expires", "Last used", "State"),
                    rows=tuple(
                        (link(item), moment(item.expires_at), moment(item.last_used_at), token_badge(item))
                        for item in record.tokens.order_by("-created_at")
                    ),
                    empty="This account has no token.",
                ),
                handover_section(record),
                ledger_section(record.id),
            ),
        )


def _user_rows(user: User) -> tuple[tuple[str, Cell], ...]:
    return (
        ("Id", code(user.id)),
        ("User name", user.username),
        ("Roles", role_words(user) or None),
        ("Signs in here", "yes" if user.is_staff else "no"),
        ("Answered for by", link(user.owner, user.owner.printed_name) if user.owner else None),
        ("E-mail", user.email or None),
        ("Joined", moment(user.date_joined)),
        ("Last sign-in", moment(user.last_login)),
    )


def token_badge(token: ApiToken) -> SafeString:
    """Say whether a token still works."""
    if token.revoked_at is not None:
        return badge("failed", "revoked")
    return badge("failed", "expired") if token.expires_at <= timezone.now() else badge("passed", "works")


@admin.register(ApiToken)
class ApiTokenAdmin(GovernedAdmin[ApiToken]):
    """Tokens: who holds which, for what, and until when."""

    kinds = ("token",)
    deferred = ("digest",)
    list_display = (
        "name",
        "key_id",
        person_column("user"),
        moment_column("expires_at"),
        moment_column("last_used_at"),
        "works",
    )
    list_select_related = ("user",)
    search_fields = ("id__exact", "key_id__exact", "name__icontains")
    ordering = ("-created_at",)

    @admin.display(description="state")
    def works(self, token: ApiToken) -> Cell:
        """Say whether it still works."""
        return token_badge(token)

    def page(self, request: HttpRequest, record: ApiToken) -> Page:  # noqa: ARG002
        """Show what a token may do."""
        return Page(
            heading=record.name,
            lead="The secret was shown once when the token was made. It is not stored.",
            badge=token_badge(record),
            sections=(
                Facts(
                    title="Token",
                    rows=(
                        ("Id", code(record.id)),
                        ("Key", code(record.key_id)),
                        ("Account", link(record.user)),
                        ("May", "; ".join(Scope(scope).label for scope in record.scopes)),
                        ("Made", moment(record.created_at)),
                        ("Expires", moment(record.expires_at)),
                        ("Last used", moment(record.last_used_at)),
                        ("Revoked", moment(record.revoked_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )
