"""The admin only shows, only to people with a role, and writes down every look before the page leaves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import factories
import psycopg
import pytest
from admin_records import (
    BIAS,
    EXPLANATION,
    HOSTILE,
    REPORT,
    Look,
    Records,
    document_make,
    evidence_make,
    evidence_written,
    looks,
    records_make,
    signed_in,
)
from conftest import Database
from django.apps import apps
from django.contrib import admin
from django.core.files.storage import storages
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit.models import Entry
from governance.admin.base import GovernedAdmin
from governance.enums import EvidenceType, Role
from governance.models import Decision, User
from modelnotary.verify.proof import verify_proof
from modelnotary.verify.result import ExitCode
from modelnotary.verify.trust import TRUST_FILE, Trust
from reports.enums import DocumentKind

SHOWN = sorted(model._meta.label for model in admin.site._registry)
WITH_CONTENT = {f"governance.{name}" for name in ("ModelVersion", "DatasetVersion", "Evidence", "PolicyVersion")}
QUERY_BUDGET = 15


@pytest.fixture(scope="module")
def records(database: Database, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    return records_make(database, tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def reader(records: Records) -> User:
    """Somebody with a role who had no part in anything."""
    return factories.person(Role.AUDITOR)


@pytest.fixture(scope="module")
def site(reader: User) -> Client:
    return signed_in(reader)


@pytest.fixture
def looked(reader: User) -> Callable[[], list[Look]]:
    """What the reader looked at since the test began."""
    before = len(looks(reader))
    return lambda: looks(reader)[before:]


def address(label: str, page: str, *args: str) -> str:
    app, model = label.lower().split(".")
    return reverse(f"admin:{app}_{model}_{page}", args=args)


def identity(record: Any) -> str:
    return str(record.event_id if isinstance(record, Entry) else record.pk)


def test_every_kind_of_record_has_a_page_and_groups_have_none(records: Records) -> None:
    assert set(records.of) == set(SHOWN)
    assert all(isinstance(shown, GovernedAdmin) for shown in admin.site._registry.values())
    assert "auth.Group" not in SHOWN


@pytest.mark.parametrize("label", SHOWN)
def test_a_record_can_be_looked_at_and_each_look_is_in_the_access_log(
    label: str, records: Records, site: Client, looked: Callable[[], list[Look]]
) -> None:
    record = records.of[label]
    listed = site.get(address(label, "changelist"), {"q": identity(record)})
    shown = site.get(address(label, "change", identity(record)))

    assert (listed.status_code, shown.status_code) == (200, 200)
    # A request for signatures leads to the decision, where it is signed.
    led_to = ("governance.Decision", record.decision) if label == "governance.ApprovalRequest" else (label, record)
    assert address(led_to[0], "change", identity(led_to[1])) in listed.content.decode()
    first, second = looked()
    assert (first.event, first.identity, first.page) == ("record.viewed", "list", "list")
    assert (second.event, second.identity, second.page) == ("record.viewed", identity(record), "change")
    assert second.digest == (record.digest if label in WITH_CONTENT else second.digest)


@pytest.mark.parametrize("label", SHOWN)
def test_no_address_changes_a_record_not_even_for_a_superuser(label: str, records: Records) -> None:
    site = signed_in(factories.administrator())
    record, model = records.of[label], apps.get_model(label)
    listed, own = address(label, "changelist"), address(label, "change", identity(record))
    before = model._default_manager.values().get(pk=record.pk)

    below = own.removesuffix("change/")
    for tampered in (f"{listed}add/", f"{below}delete/", f"{below}history/", f"{below}password/", below):
        assert site.get(tampered).status_code == 404
        assert site.post(tampered, {"post": "yes"}).status_code == 404
    action = {"action": "delete_selected", "_selected_action": identity(record), "post": "yes"}
    form = dict.fromkeys(before, "changed") | {"_save": "Save"}
    assert site.post(listed, action).status_code == 405
    for method in (site.post, site.put, site.patch, site.delete):
        assert method(own, form).status_code == 405
    assert model._default_manager.values().get(pk=record.pk) == before


@pytest.mark.parametrize("label", SHOWN)
def test_a_list_takes_few_queries_and_each_names_what_it_joins(label: str, records: Records, site: Client) -> None:
    with CaptureQueriesContext(connection) as own, CaptureQueriesContext(connections["auditor"]) as ledger:
        site.get(address(label, "changelist"))
    assert len(own) + len(ledger) <= QUERY_BUDGET


def test_without_a_role_there_is_nothing_to_see_and_nothing_to_log(records: Records) -> None:
    nobody = factories.person()
    site = signed_in(nobody)
    for label, record in records.of.items():
        assert site.get(address(label, "changelist")).status_code == 403
        assert site.get(address(label, "change", identity(record))).status_code == 403
    home = site.get(reverse("admin:index")).content.decode()
    assert "have no role yet" in home
    assert str(records.case.version) not in home
    assert looks(nobody) == []


@pytest.mark.parametrize("label", SHOWN)
def test_a_stranger_is_led_to_the_sign_in(label: str, records: Records) -> None:
    response = Client(SERVER_NAME="127.0.0.1").get(address(label, "change", identity(records.of[label])))
    assert response.status_code == 302
    assert "/admin/login/" in response["Location"]


def test_a_service_account_cannot_sign_in(records: Records) -> None:
    pipeline = records.case.pipeline
    site = Client(SERVER_NAME="127.0.0.1")
    form = {"username": pipeline.username, "password": factories.PASSWORD}
    assert "Please enter the correct" in site.post(reverse("admin:login"), form).content.decode()
    site.force_login(pipeline)  # even with a session there is no way in
    assert site.get(reverse("admin:index")).status_code == 302


@pytest.fixture
def deaf_ledger(database: Database) -> Iterator[None]:
    """The application may no longer write to the ledger."""
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute("REVOKE EXECUTE ON FUNCTION ledger.append(text, bytea) FROM mn_app")
        yield
        superuser.execute("GRANT EXECUTE ON FUNCTION ledger.append(text, bytea) TO mn_app")


@pytest.mark.parametrize("page", ["home", "list", "record", "download"])
def test_a_look_that_cannot_be_logged_shows_nothing(
    page: str, records: Records, site: Client, deaf_ledger: None
) -> None:
    decision = records.of["governance.Decision"]
    site.raise_request_exception = False
    response = site.get(
        {
            "home": reverse("admin:index"),
            "list": address("governance.Decision", "changelist"),
            "record": address("governance.Decision", "change", decision.id),
            "download": address("governance.Decision", "attestation", decision.id),
        }[page]
    )
    assert response.status_code == 500
    assert str(records.case.version).encode() not in response.content
    assert b"payload" not in response.content


def test_an_unknown_record_is_said_to_be_unknown(
    records: Records, site: Client, looked: Callable[[], list[Look]]
) -> None:
    response = site.get(address("governance.Decision", "change", "dec_none"), follow=True)
    assert "There is no decision dec_none." in response.content.decode()
    assert [look.identity for look in looked()] == ["list"]


@pytest.mark.parametrize(
    ("label", "guess"),
    [
        ("governance.User", "password__startswith=pbkdf2"),
        ("governance.User", "tokens__digest__startswith=a"),
        ("governance.ApiToken", "digest__startswith=a"),
        ("governance.ApiToken", "user__password__contains=a"),
    ],
)
def test_a_query_string_cannot_guess_at_what_is_not_shown(
    label: str, guess: str, records: Records, site: Client
) -> None:
    assert site.get(f"{address(label, 'changelist')}?{guess}").status_code == 400


def test_secrets_are_on_no_page(records: Records, site: Client) -> None:
    person, token = records.of["governance.User"], records.of["governance.ApiToken"]
    for label, record in (("governance.User", person), ("governance.ApiToken", token)):
        pages = (address(label, "changelist"), address(label, "change", record.id))
        shown = "".join(site.get(page).content.decode() for page in pages)
        assert token.digest not in shown
        assert person.password not in shown
        assert "pbkdf2" not in shown


def test_djangos_unlogged_autocomplete_gives_nothing(records: Records, site: Client) -> None:
    query = {"app_label": "governance", "model_name": "decision", "field_name": "model_version", "term": ""}
    assert site.get(reverse("admin:autocomplete"), query).status_code == 404


def test_the_first_page_shows_what_waits_and_is_logged(
    records: Records, site: Client, looked: Callable[[], list[Look]]
) -> None:
    waiting = factories.waiting_case()
    shown = site.get(reverse("admin:index")).content.decode()
    assert str(waiting.version) in shown
    assert "holds none of the roles that the policy accepts" in shown
    assert "Signed checkpoints" in shown
    assert [look.page for look in looked()] == ["dashboard"]


DOWNLOADS: dict[str, tuple[str, str, Callable[[Any], bytes]]] = {
    "attestation": ("governance.Decision", "attestation", lambda record: bytes(record.attestation)),
    "evidence": ("governance.Evidence", "document", lambda record: bytes(record.document)),
    "policy": ("governance.PolicyVersion", "document", lambda record: record.document.encode()),
    "statement": ("governance.Signature", "statement", lambda record: bytes(record.statement)),
    "entry": ("audit.Entry", "leaf", lambda record: bytes(record.bytes)),
    "checkpoint": ("audit.Checkpoint", "note", lambda record: record.note.encode()),
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_gives_the_exact_bytes_and_is_logged(
    name: str, records: Records, site: Client, looked: Callable[[], list[Look]]
) -> None:
    label, page, content = DOWNLOADS[name]
    record = records.of[label]
    response = site.get(address(label, page, identity(record)))
    assert response.content == content(record)
    assert response["Content-Disposition"].startswith("attachment;")
    assert [(look.event, look.identity, look.page) for look in looked()] == [("record.viewed", identity(record), page)]


def test_the_proof_of_an_entry_verifies_offline(records: Records, site: Client, keys: Path, tmp_path: Path) -> None:
    entry = records.of["audit.Entry"]
    file = tmp_path / f"{entry.event_id}.tlog-proof"
    file.write_bytes(site.get(address("audit.Entry", "proof", entry.event_id)).content)
    report = verify_proof(file, Trust.from_file(keys.parent / TRUST_FILE))
    assert report.exit_code is ExitCode.VERIFIED, report.checks


@pytest.mark.parametrize(
    ("kind", "event"), [(DocumentKind.REPORT, "report.downloaded"), (DocumentKind.BUNDLE, "bundle.downloaded")]
)
def test_downloading_a_document_is_logged_as_that(
    kind: DocumentKind, event: str, records: Records, site: Client, looked: Callable[[], list[Look]]
) -> None:
    document = document_make(records.case, kind, REPORT)
    response: Any = site.get(address("reports.Document", "download", document.id))
    assert b"".join(response.streaming_content) == REPORT
    response.close()
    assert looked() == [Look(event, kind.value, document.id, document.digest, "download")]


def test_a_stored_report_that_was_changed_is_not_handed_out(
    records: Records, site: Client, looked: Callable[[], list[Look]]
) -> None:
    document = document_make(records.case, DocumentKind.REPORT, factories.unique("report").encode())
    Path(storages["artifacts"].path(document.path)).write_bytes(b"another report")
    response = site.get(address("reports.Document", "download", document.id), follow=True)
    assert "Not handed out: the stored file of" in response.content.decode()
    assert [look.event for look in looked()] == ["record.viewed"]


def test_a_page_of_bias_evidence_shows_groups_with_n_and_intervals(records: Records, site: Client) -> None:
    evidence = evidence_make(records.case, EvidenceType.BIAS, BIAS)
    shown = site.get(address("governance.Evidence", "change", evidence.id)).content.decode()
    for words in ("race: black", "146", "0.6781", "0.5986 to 0.7485", "0.7394 misses the line of 0.8."):
        assert words in shown


def test_a_page_of_an_explanation_shows_bars_with_numbers(records: Records, site: Client) -> None:
    evidence = evidence_make(records.case, EvidenceType.EXPLANATION, EXPLANATION)
    shown = site.get(address("governance.Evidence", "change", evidence.id)).content.decode()
    for words in ("loan_to_value", "0.3910", "0.3750 to 0.4070", 'width="96.07%"', "income -0.250"):
        assert words in shown


@pytest.mark.parametrize(
    "payload",
    [
        {"groups": "none", "criteria": 7, "global_importance": {"a": 1}, "local": None},
        {"groups": [1, 2], "criteria": [{}], "global_importance": [{"mean_abs": "much"}], "local": [{}]},
        {"global_importance": [{"feature": HOSTILE, "mean_abs": 0}], "receipt": [HOSTILE], HOSTILE: {HOSTILE: HOSTILE}},
        {"groups": [{"n": HOSTILE, "selection_rate": HOSTILE, "selection_rate_low": [], "selection_rate_high": {}}]},
        {"deep": [[[[[[[[[[[[HOSTILE]]]]]]]]]]]], "verdict": HOSTILE},
        {"local": [{"row": None, "contributions": [{"feature": None, "contribution": HOSTILE}]}], "many": [0] * 500},
    ],
)
def test_no_shape_of_evidence_breaks_its_page_or_runs_in_it(
    payload: dict[str, Any], records: Records, site: Client
) -> None:
    evidence = evidence_written(records.case, payload)
    response = site.get(address("governance.Evidence", "change", evidence.id))
    assert response.status_code == 200
    assert HOSTILE not in response.content.decode()


def test_words_of_others_are_shown_as_words(records: Records, site: Client) -> None:
    for label in ("governance.DatasetVersion", "governance.Run"):
        shown = site.get(address(label, "change", records.of[label].id)).content.decode()
        assert HOSTILE not in shown
        assert "&lt;script&gt;" in shown


def test_an_entry_whose_bytes_were_changed_says_so(database: Database, records: Records, site: Client) -> None:
    entry = Entry.objects.get(subject_id=records.of["governance.Run"].id, event_type="run.recorded")
    page = address("audit.Entry", "change", entry.event_id)
    assert "the bytes have this hash" in site.get(page).content.decode()
    altered = bytes(entry.bytes).replace(b"train", b"TRAIN")
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE ledger.body DISABLE TRIGGER append_only")
        superuser.execute("UPDATE ledger.body SET bytes = %s WHERE id = %s", (altered, entry.body_id))
        assert "the bytes were changed" in site.get(page).content.decode()
        superuser.execute("UPDATE ledger.body SET bytes = %s WHERE id = %s", (bytes(entry.bytes), entry.body_id))
        superuser.execute("ALTER TABLE ledger.body ENABLE ALWAYS TRIGGER append_only")


@pytest.mark.parametrize("by", ["event", "subject", "digest", "beginning", "hexadecimal"])
def test_entries_are_found_by_event_subject_and_digest(by: str, records: Records, site: Client) -> None:
    entry = records.of["audit.Entry"]
    term = {
        "event": entry.event_id,
        "subject": entry.subject_id,
        "digest": entry.subject_digest,
        "beginning": entry.subject_digest[:20],
        "hexadecimal": entry.subject_digest[7:20],
    }[by]
    shown = site.get(address("audit.Entry", "changelist"), {"q": term, "event": entry.event_type}).content.decode()
    assert shown.count("<tbody") == 1
    assert entry.event_id in shown


def test_the_search_for_a_digest_uses_its_index(database: Database, records: Records) -> None:
    with psycopg.connect(database.superuser_url) as superuser:
        superuser.execute("SET enable_seqscan = off")
        plan = superuser.execute(
            "EXPLAIN SELECT * FROM ledger.entry_view WHERE subject_digest::text LIKE 'sha256:abcdef01%'"
        ).fetchall()
    assert any("projection_digest" in line for (line,) in plan)


def test_people_change_their_own_password(records: Records) -> None:
    person = factories.person(Role.AUDITOR)
    fresh = "another long pass phrase"
    form = {"old_password": factories.PASSWORD, "new_password1": fresh, "new_password2": fresh}
    response = signed_in(person).post(reverse("admin:password_change"), form)
    assert response.status_code == 302
    person.refresh_from_db()
    assert person.check_password(fresh)


def test_the_page_of_a_model_version_shows_all_that_is_known(records: Records, site: Client) -> None:
    version = records.case.version
    shown = site.get(address("governance.ModelVersion", "change", version.id)).content.decode()
    document = records.of["reports.Document"]
    decision = Decision.objects.get(pk=records.case.decision.pk)
    for expected in (version.digest, records.case.evidence.id, decision.id, document.id, "Lineage", "Performance"):
        assert expected in shown
