"""What is governed: systems, models, data, runs, and how one came from another."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from governance.admin.base import Address, GovernedAdmin, moment_column, person_column, seen_by
from governance.admin.cells import Cell, badge, code, link, moment, nested, record_address, stack, whole
from governance.admin.controls import declaration_section, system_controls_page
from governance.admin.ledger import attachment, ledger_section
from governance.admin.lineage import affected_page, lineage_section, names_of
from governance.admin.sections import Action, Facts, Page, Section, Table
from governance.admin.tier_steps import ASSESS, assess_address
from governance.admin.tiers import tier_section
from governance.admin.units import assign_actions, assign_addresses
from governance.enums import PhiType
from governance.models import AiSystem, Dataset, DatasetVersion, LineageEdge, Model, Run
from governance.models.people import place_of
from governance.selectors.affected import affected_by
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


def phi_badge(*, holds: bool) -> str:
    """Mark what holds protected health information."""
    return badge("phi", "holds protected health information") if holds else ""


@admin.register(AiSystem)
class AiSystemAdmin(GovernedAdmin[AiSystem]):
    """AI systems."""

    kinds = ("system",)
    list_display = (
        "name",
        "operator",
        "decision_supported",
        "contains_phi",
        person_column("owner"),
        moment_column("registered_at"),
    )
    list_select_related = ("owner",)
    list_filter = ("contains_phi",)
    search_fields = ("id__exact", "slug__exact", "name__icontains")

    def addresses(self) -> tuple[Address, ...]:
        """Add what became of each control, and the forms to assess the tier and to choose the business unit."""
        return (Address("controls", self._controls), assess_address(self), *assign_addresses(self))

    def _controls(self, request: HttpRequest, record: AiSystem) -> TemplateResponse:
        page = system_controls_page(request, record)
        return self.render(request, record, "governance/admin/record.html", page=page)

    def page(self, request: HttpRequest, record: AiSystem) -> Page:
        """Show what a system is for and which models are in it."""
        return Page(
            heading=record.name,
            lead=record.purpose,
            badge=phi_badge(holds=record.contains_phi),
            sections=(
                Facts(
                    title="System",
                    rows=(
                        ("Id", code(record.id)),
                        ("Short name", record.slug),
                        ("Business unit", place_of(record.business_unit)),
                        ("Operator", record.operator),
                        ("Decision supported", record.decision_supported),
                        ("Persons affected", record.affected_persons),
                        ("Jurisdiction", record.jurisdiction),
                        ("Protected health information", "yes" if record.contains_phi else "no"),
                        ("Owner", link(record.owner, record.owner.printed_name)),
                        ("Registered", moment(record.registered_at)),
                    ),
                ),
                Table(
                    title="Models",
                    columns=("Model", "Short name", "Registered"),
                    rows=tuple((link(m), m.slug, moment(m.registered_at)) for m in record.models.all()),
                    empty="No model is registered in this system.",
                ),
                tier_section(record),
                declaration_section(record, timezone.now().date()),
                ledger_section(record.id),
            ),
            actions=(
                Action(words="Controls", address=record_address(record, "controls"), symbol="rule"),
                Action(words="Assess the tier", address=record_address(record, ASSESS), symbol="stacks"),
                *assign_actions(request, record),
            ),
        )


@admin.register(Model)
class ModelsAdmin(GovernedAdmin[Model]):
    """Models."""

    kinds = ("model",)
    list_display = ("name", "slug", "system", moment_column("registered_at"))
    list_select_related = ("system",)
    search_fields = ("id__exact", "slug__exact", "name__icontains")

    def page(self, request: HttpRequest, record: Model) -> Page:  # noqa: ARG002
        """Show a model's versions."""
        versions = record.versions.select_related("author").order_by("-number")
        return Page(
            heading=record.name,
            lead=f"A model of {record.system}.",
            sections=(
                Table(
                    title="Versions",
                    columns=("Version", "Digest", "Format", "Author", "Registered"),
                    rows=tuple(
                        (
                            link(item, f"{record.slug} v{item.number}"),
                            code(item.digest),
                            item.format,
                            item.author.printed_name,
                            moment(item.registered_at),
                        )
                        for item in versions
                    ),
                    empty="No version is registered.",
                ),
                _description(record),
                Facts(
                    title="Model",
                    rows=(
                        ("Id", code(record.id)),
                        ("Short name", record.slug),
                        ("System", link(record.system)),
                        ("Registered", moment(record.registered_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )


def _description(model: Model) -> Section:
    said = model.descriptions.select_related("owner", "developer", "validator", "described_by").first()
    if said is None:
        nobody = "Nobody has said yet how this model works, where it comes from and who answers for it."
        return Table(title="Description", columns=(), rows=(), empty=nobody)
    people = (("Owner", said.owner), ("Developer", said.developer), ("Validator", said.validator))
    return Facts(
        title="Description",
        rows=(
            ("Methodology", said.get_methodology_display()),
            ("Provenance", said.get_provenance_display()),
            ("Vendor", said.vendor or None),
            ("Must not be used for", said.restrictions_on_use),
            *((words, link(person, person.printed_name) if person else None) for words, person in people),
            ("Version", said.number),
            ("Described by", said.described_by.printed_name),
            ("Described", moment(said.described_at)),
        ),
    )


@admin.register(Dataset)
class DatasetAdmin(GovernedAdmin[Dataset]):
    """Data sets."""

    kinds = ("dataset",)
    list_display = ("name", "slug", "classification", "contains_phi", moment_column("registered_at"))
    list_filter = ("contains_phi",)
    search_fields = ("id__exact", "slug__exact", "name__icontains")

    def page(self, request: HttpRequest, record: Dataset) -> Page:  # noqa: ARG002
        """Show a data set's versions."""
        return Page(
            heading=record.name,
            lead=record.description,
            badge=phi_badge(holds=record.contains_phi),
            sections=(
                Table(
                    title="Versions",
                    columns=("Version", "Digest", "Rows", "Columns", "Registered"),
                    rows=tuple(
                        (
                            link(item, f"{record.slug} v{item.number}"),
                            code(item.digest),
                            f"{item.row_count:,}",
                            len(item.columns),
                            moment(item.registered_at),
                        )
                        for item in record.versions.order_by("-number")
                    ),
                    empty="No version is registered.",
                ),
                Facts(
                    title="Data set",
                    rows=(
                        ("Id", code(record.id)),
                        ("Short name", record.slug),
                        ("Classification", record.classification),
                        ("Protected health information", "yes" if record.contains_phi else "no"),
                        ("Registered", moment(record.registered_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )


@admin.register(DatasetVersion)
class DatasetVersionAdmin(GovernedAdmin[DatasetVersion]):
    """Versions of data sets."""

    kinds = ("dataset_version",)
    deferred = ("columns",)
    list_display = (
        "__str__",
        "digest_code",
        "row_count",
        person_column("registered_by"),
        moment_column("registered_at"),
    )
    list_select_related = ("dataset", "registered_by")
    search_fields = ("id__exact", "artifact__digest__startswith", "dataset__slug__exact")

    @admin.display(description="digest")
    def digest_code(self, version: DatasetVersion) -> Cell:
        """Show the digest."""
        return code(version.digest)

    def subject(self, record: DatasetVersion) -> Subject:
        """Name it with its digest."""
        return Subject("dataset_version", record.id, Digest.from_text(record.digest))

    def addresses(self) -> tuple[Address, ...]:
        """Add what is affected if it is bad, as a page and as a text."""
        return (Address("affected", self._affected), Address("affected.txt", _affected_text))

    def _affected(self, request: HttpRequest, record: DatasetVersion) -> TemplateResponse:
        page = affected_page(affected_by(version=record, at=timezone.now(), seen_by=seen_by(request)))
        return self.render(request, record, "governance/admin/record.html", page=page)

    def page(self, request: HttpRequest, record: DatasetVersion) -> Page:
        """Show what a version is and what was made of it."""
        return Page(
            heading=str(record),
            lead=record.dataset.name,
            badge=phi_badge(holds=record.dataset.contains_phi),
            actions=(
                Action(words="What is affected", address=record_address(record, "affected"), symbol="crisis_alert"),
            ),
            sections=(
                Facts(
                    title="Version",
                    rows=(
                        ("Id", code(record.id)),
                        ("Data set", link(record.dataset)),
                        ("Digest", whole(record.digest)),
                        ("Size", f"{record.artifact.size:,} bytes"),
                        ("Format", record.get_format_display()),
                        ("Rows", f"{record.row_count:,}, {'counted' if record.schema_digest else 'as reported'}"),
                        ("Columns", ", ".join(map(str, record.columns))),
                        ("Schema digest", whole(record.schema_digest)),
                        ("Registered by", link(record.registered_by, record.registered_by.printed_name)),
                        ("Registered", moment(record.registered_at)),
                    ),
                ),
                _handling(record),
                lineage_section("What it came from", record.id, upwards=True, seen_by=seen_by(request)),
                lineage_section("What came of it", record.id, upwards=False, seen_by=seen_by(request)),
                ledger_section(record.id),
            ),
        )


def _affected_text(request: HttpRequest, record: DatasetVersion) -> HttpResponse:
    text = affected_by(version=record, at=timezone.now(), seen_by=seen_by(request)).to_text()
    return attachment(text.encode(), f"affected-by-{record.id}.txt", "text/plain; charset=utf-8")


def _handling(version: DatasetVersion) -> Section:
    labels = dict(PhiType.choices)
    found = None if version.phi_types is None else stack(labels[item] for item in version.phi_types) or "none"
    return Facts(
        title="Handling",
        note="As stated by who registered it; a dash is not stated.",
        rows=(
            ("Classification", version.classification or version.dataset.classification),
            ("Identifiers in it", found),
            ("De-identification", version.get_deidentification_display() or None),
            ("Legal basis", version.legal_basis or None),
            ("Collected how", version.collection_method or None),
            ("Known biases", version.known_biases or None),
        ),
    )


@admin.register(Run)
class RunAdmin(GovernedAdmin[Run]):
    """Training runs."""

    kinds = ("run",)
    deferred = ("parameters",)
    list_display = (
        "name",
        "code_commit",
        moment_column("started_at"),
        moment_column("finished_at"),
        person_column("registered_by"),
    )
    list_select_related = ("registered_by",)
    search_fields = ("id__exact", "name__icontains", "code_commit__exact")

    def page(self, request: HttpRequest, record: Run) -> Page:
        """Show what a run used and made."""
        return Page(
            heading=record.name,
            lead="A training run, as its author reports it.",
            sections=(
                Facts(
                    title="Run",
                    rows=(
                        ("Id", code(record.id)),
                        ("Code", code(record.code_commit)),
                        ("Started", moment(record.started_at)),
                        ("Finished", moment(record.finished_at)),
                        ("Registered by", link(record.registered_by, record.registered_by.printed_name)),
                        ("Registered", moment(record.registered_at)),
                        ("Parameters", nested(record.parameters)),
                    ),
                ),
                lineage_section("What it used", record.id, upwards=True, seen_by=seen_by(request)),
                lineage_section("What came of it", record.id, upwards=False, seen_by=seen_by(request)),
                ledger_section(record.id),
            ),
        )


@admin.register(LineageEdge)
class LineageEdgeAdmin(GovernedAdmin[LineageEdge]):
    """Steps of lineage."""

    kinds = ("lineage_edge",)
    list_display = ("role", "source", "target", "trust", moment_column("recorded_at"))
    list_filter = ("role", "trust")
    search_fields = ("id__exact", "source_id__exact", "target_id__exact")
    ordering = ("-recorded_at", "id")

    @admin.display(description="from")
    def source(self, edge: LineageEdge) -> Cell:
        """Name where it begins."""
        return stack((edge.get_source_kind_display(), code(edge.source_id)))

    @admin.display(description="to")
    def target(self, edge: LineageEdge) -> Cell:
        """Name where it ends."""
        return stack((edge.get_target_kind_display(), code(edge.target_id)))

    def page(self, request: HttpRequest, record: LineageEdge) -> Page:  # noqa: ARG002
        """Show the two ends."""
        names = names_of({record.source_id, record.target_id})
        return Page(
            heading=f"{record.get_source_kind_display()} to {record.get_target_kind_display().lower()}",
            lead=f"{record.get_role_display()}; {record.get_trust_display().lower()}.",
            sections=(
                Facts(
                    title="Step",
                    rows=(
                        ("Id", code(record.id)),
                        ("From", names[record.source_id]),
                        ("To", names[record.target_id]),
                        ("Role", record.get_role_display()),
                        ("Known how", record.get_trust_display()),
                        ("Recorded", moment(record.recorded_at)),
                    ),
                ),
                ledger_section(record.id),
            ),
        )
