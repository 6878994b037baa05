"""What all pages have in common: they only show, only people with a role see them, and every look is logged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst

from audit.enums import AccessEvent
from governance.admin.cells import NOTHING, Cell, anchor, code, moment, record_address
from governance.admin.sections import ListHead, Page
from governance.models import User
from governance.selectors.scope import Sight, sight_of
from governance.services.accesses import access_record
from modelnotary.ledger.event import Subject

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

    _ModelAdmin = admin.ModelAdmin[Any]
else:
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.views import ChangeList

_READING = ("GET", "HEAD")
_SHOWN_BELOW = 300
LIST = "list"
"""What the access log names as identity when somebody looks at a list."""


def may_look(request: HttpRequest) -> bool:
    """Say whether the caller may read governed pages: a person who signs in and holds a role, or a superuser."""
    user = request.user
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        return False
    prefetch_related_objects([user], "role_grants")  # once for a page, which asks for each entry of its menu
    return user.is_superuser or bool(user.roles)


def seen_by(request: HttpRequest) -> Sight:
    """Give what the caller sees; asked of the database once for each request."""
    known: Sight | None = getattr(request, "sight", None)
    if known is None:
        known = sight_of(actor=cast("User", request.user), at=timezone.now())
        request.sight = known  # type: ignore[attr-defined]
    return known


def moment_column(field: str, words: str | None = None) -> Callable[[Any], str]:
    """Make a list's column of times, which say that they are UTC."""

    @admin.display(description=words or field.removesuffix("_at").replace("_", " "), ordering=field)
    def column(record: Any) -> str:  # noqa: ANN401 - any record with that field
        return moment(getattr(record, field))

    column.__name__ = field
    return column


def person_column(field: str, words: str | None = None) -> Callable[[Any], str]:
    """Make a list's column of people, by the name that they sign with."""

    @admin.display(description=words or field.replace("_", " "))
    def column(record: Any) -> str:  # noqa: ANN401
        person: User | None = getattr(record, field)
        return person.printed_name if person else NOTHING

    column.__name__ = field
    return column


def page_viewed(request: HttpRequest, *, event: AccessEvent, subject: Subject, page: str) -> None:
    """Write to the access log who sees what. It is committed before the page leaves: no record, no page."""
    access_record(
        actor=cast("User", request.user),
        event=event,
        kind=subject.kind,
        identity=subject.id,
        digest=subject.digest,
        data={"door": "admin", "page": page},
        at=timezone.now(),
    )


class RecordList(ChangeList):
    """A list that counts once, and whose rows lead to the addresses that pages use too: ids as they are."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the rows. Nothing was counted beside them, so there is no other number to show."""
        super().get_results(request)
        self.full_result_count = self.result_count

    def url_for_result(self, result: Model) -> str:
        """Give the address of a record's page."""
        return record_address(result)


@dataclass(frozen=True, slots=True)
class Address:
    """A page: its path below that of the record or of the list, its name, what answers there, and by which methods."""

    name: str
    view: Callable[[HttpRequest, Any], HttpResponseBase]
    methods: tuple[str, ...] = _READING


class GovernedAdmin[Record: Model](_ModelAdmin):
    """A list of records and a page for each. There is nothing else: no form, no bulk action, no address that changes.

    A subclass names its `kinds` and gives the `page` of a record. It may add pages of a record by `addresses`, and of
    the list, which are about no record, by `list_addresses`; what goes above the list is the `head`.

    Attributes:
        kinds: What the ledger calls these records; the first is used for the list.
        deferred: Columns too large to be read for a list.
    """

    kinds: ClassVar[tuple[str, ...]]
    deferred: ClassVar[tuple[str, ...]] = ()
    actions = None
    list_per_page = 25
    list_max_show_all = 0
    show_full_result_count = False
    empty_value_display = NOTHING
    show_facets = admin.ShowFacets.NEVER
    list_before_template = "governance/admin/list_head.html"

    def page(self, request: HttpRequest, record: Record) -> Page:
        """Give what the page of a record shows."""
        raise NotImplementedError

    def addresses(self) -> tuple[Address, ...]:
        """Give the further pages and downloads of a record."""
        return ()

    def list_addresses(self) -> tuple[Address, ...]:
        """Give the pages that belong to the list and to no record; their views are given None for the record."""
        return ()

    def head(self, request: HttpRequest) -> ListHead:  # noqa: ARG002 - what is offered depends on who looks
        """Give what goes above the list."""
        return ListHead()

    def subject(self, record: Record) -> Subject:
        """Name a record as the ledger does."""
        return Subject(self.kinds[0], str(record.pk))

    def event(self, record: Record, page: str) -> AccessEvent:  # noqa: ARG002 - downloads of documents look at both
        """Say what kind of access a page of a record is."""
        return AccessEvent.RECORD_VIEWED

    # --- Who may do what: people with a role look, nobody changes -----------------------------------------------------
    def has_view_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:  # noqa: ARG002
        """People with a role may look."""
        return may_look(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """People with a role may look."""
        return may_look(request)

    def has_add_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:  # noqa: ARG002
        """Records come in through services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:  # noqa: ARG002
        """Records are never edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:  # noqa: ARG002
        """Records are never deleted."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002
        """Filter by the offered columns only, so that no query string can guess at a column that is not shown."""
        offered = {getattr(item, "parameter_name", item) for item in self.get_list_filter(request)}
        return lookup.removesuffix("__exact") in offered

    def get_search_fields(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django's type
        """Offer search in lists only: Django's autocomplete answers outside the pages that are logged."""
        name = request.resolver_match.url_name if request.resolver_match else None
        return () if name == "autocomplete" else super().get_search_fields(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ANN401, ARG002
        """Lead from rows to records by their plain addresses."""
        return RecordList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        """Give what the caller sees, and leave large columns to the page that shows them."""
        return seen_by(request).of(cast("QuerySet[Record]", super().get_queryset(request))).defer(*self.deferred)

    # --- Addresses ----------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Serve the list, the page of a record and its further pages; each through the same gate."""
        own = (Address("change", self.record_view), *self.addresses())
        return [
            path("", self.admin_site.admin_view(self._list), name=self._url_name("changelist")),
            *(
                path(f"{item.name}/", self.admin_site.admin_view(self._list_gate(item)), name=self._url_name(item.name))
                for item in self.list_addresses()
            ),
            *(
                path(
                    f"<path:object_id>/{item.name}/",
                    self.admin_site.admin_view(self._gate(item)),
                    name=self._url_name(item.name),
                )
                for item in own
            ),
        ]

    def record_view(self, request: HttpRequest, record: Record) -> TemplateResponse:
        """Show a record."""
        return self.render(request, record, "governance/admin/record.html", page=self.page(request, record))

    def render(self, request: HttpRequest, record: Record | None, template: str, **context: Any) -> TemplateResponse:  # noqa: ANN401
        """Draw a page of a record, or of the list, in the frame of the admin."""
        title = capfirst(self.opts.verbose_name_plural) if record is None else str(record)
        frame = self.admin_site.each_context(request) | {"opts": self.opts, "original": record, "title": title}
        return TemplateResponse(request, template, frame | context)

    def _list(self, request: HttpRequest) -> HttpResponseBase:
        if request.method not in _READING:
            return HttpResponseNotAllowed(_READING)
        context = {"title": capfirst(self.opts.verbose_name_plural), "head": self.head(request)}
        response = self.changelist_view(request, context)
        if response.status_code < _SHOWN_BELOW:
            page_viewed(request, event=AccessEvent.RECORD_VIEWED, subject=Subject(self.kinds[0], LIST), page=LIST)
        return response

    def _gate(self, address: Address) -> Callable[..., HttpResponseBase]:
        def serve(request: HttpRequest, object_id: str) -> HttpResponseBase:
            if refused := self._refused(request, address):
                return refused
            record = self.get_object(request, object_id)
            return self._unknown(request, object_id) if record is None else self._serve(request, address, record)

        return serve

    def _list_gate(self, address: Address) -> Callable[..., HttpResponseBase]:
        def serve(request: HttpRequest) -> HttpResponseBase:
            return self._refused(request, address) or self._serve(request, address, None)

        return serve

    def _refused(self, request: HttpRequest, address: Address) -> HttpResponseBase | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return None if request.method in address.methods else HttpResponseNotAllowed(address.methods)

    def _serve(self, request: HttpRequest, address: Address, record: Record | None) -> HttpResponseBase:
        response = address.view(request, record)
        if response.status_code < _SHOWN_BELOW:
            page = address.name
            event = AccessEvent.RECORD_VIEWED if record is None else self.event(record, page)
            subject = Subject(self.kinds[0], LIST) if record is None else self.subject(record)
            page_viewed(request, event=event, subject=subject, page=page)
        return response

    def _unknown(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        messages.error(request, f"There is no {self.opts.verbose_name} {object_id}.")
        return HttpResponseRedirect(reverse(f"admin:{self._url_name('changelist')}"))

    def _url_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"


def subject_link(kind: str, identity: str) -> Cell:
    """Lead to what the ledger names by kind and id, where the admin has a page for it."""
    for model, shown in admin.site._registry.items():  # noqa: SLF001 - the site has no other list of its pages
        if isinstance(shown, GovernedAdmin) and kind in shown.kinds:
            options = model._meta  # noqa: SLF001
            name = f"admin:{options.app_label}_{options.model_name}"
            if identity == LIST:
                return anchor(reverse(f"{name}_changelist"), f"the list of {options.verbose_name_plural}")
            return anchor(reverse(f"{name}_change", args=[identity]), identity)
    return code(identity)
