"""Officers order an erasure together; a disclosure opens what it says, for whoever pins the keys, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import factories
import pytest
from conftest import Database
from django.core.management import CommandError, call_command
from ledger_driver import connect, head_sign, log_named, sequence_all
from privacy_driver import REASON, access_record, rotate

from audit.models import Erasure
from audit.selectors import entry_proof
from governance.enums import Role
from modelnotary.ledger.canonical import canonical_bytes
from modelnotary.ledger.keys import key_load
from modelnotary.ledger.note import NoteSigner
from modelnotary.verify.procedure import verify_paths
from modelnotary.verify.result import ExitCode

ADA, BEN = "patient-ada", "patient-ben"


@dataclass(frozen=True)
class Clinic:
    """A signed access log about two patients, two officers, and what was disclosed about one patient.

    Attributes:
        folder: Where the files are.
        trust: The trust file.
        events: The entries about each patient.
        officers: The user names of two privacy officers.
        disclosed: What the disclosure file about the first patient says.
    """

    folder: Path
    trust: Path
    events: dict[str, list[str]]
    officers: tuple[str, str]
    disclosed: dict[str, Any]


def command(clinic_folder: Path, *arguments: str, officer: str, person: str, password: str = factories.PASSWORD) -> str:
    """Run a command as an officer, about a person; return what it prints."""
    secret, about, out = clinic_folder / "password", clinic_folder / "person", StringIO()
    secret.write_text(password)
    about.write_text(person)
    files = ["--officer", officer, "--password-file", str(secret), "--person-file", str(about)]
    call_command(*arguments, *files, "--json", stdout=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def clinic(database: Database, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    folder = tmp_path_factory.mktemp("clinic")
    officers = (factories.person(Role.PRIVACY).username, factories.person(Role.PRIVACY).username)
    events = {person: [access_record(person) for _ in range(3)] for person in (ADA, BEN)}
    sequence_all(database, log="access")
    with connect(database, "auditor") as connection:
        signer = NoteSigner(log_named(connection, "access").origin, key_load(keys / "access.key"))
    head_sign(database, signer, log="access")
    path = folder / "ada.disclosure"
    command(folder, "disclosure_export", str(path), "--reason", REASON, officer=officers[0], person=ADA)
    return Clinic(folder, keys.parent / "trust.json", events, officers, json.loads(path.read_bytes()))


def judged(clinic: Clinic, disclosed: dict[str, Any]) -> ExitCode:
    path = clinic.folder / "judged.disclosure"
    path.write_bytes(canonical_bytes(disclosed))
    return verify_paths([path], trust_file=clinic.trust)[0].exit_code


def changed(clinic: Clinic, change: Callable[[list[Any]], None]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(clinic.disclosed))
    change(copy["entries"])
    return copy


def test_a_disclosure_opens_the_entries_of_one_person_and_names_nobody_else(clinic: Clinic) -> None:
    assert judged(clinic, clinic.disclosed) is ExitCode.VERIFIED
    values = [opening["value"] for entry in clinic.disclosed["entries"] for opening in entry["openings"]]
    assert values == [ADA] * len(clinic.events[ADA])
    assert BEN not in json.dumps(clinic.disclosed)


def _swap_openings(entries: list[Any]) -> None:
    entries[0]["openings"], entries[1]["openings"] = entries[1]["openings"], entries[0]["openings"]


def _change_proof(entries: list[Any]) -> None:
    entries[0]["proof"] = entries[0]["proof"].replace("index ", "index 1", 1)


ATTACKS: dict[str, Callable[[list[Any]], None]] = {
    "another value": lambda entries: entries[0]["openings"][0].update(value=BEN),
    "another salt": lambda entries: entries[0]["openings"][0].update(salt="A" * 43 + "="),
    "another name": lambda entries: entries[0]["openings"][0].update(name="doctor"),
    "the opening of another entry": _swap_openings,
    "an opening twice": lambda entries: entries[0]["openings"].append(entries[0]["openings"][0]),
    "an entry twice": lambda entries: entries.append(entries[0]),
    "no opening": lambda entries: entries[0]["openings"].clear(),
    "a proof of another place": _change_proof,
    "a member that nobody asked for": lambda entries: entries[0].update(note="trust me"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_disclosure_that_says_something_else_is_refused(clinic: Clinic, attack: str) -> None:
    assert judged(clinic, changed(clinic, ATTACKS[attack])) is ExitCode.TAMPERED


def test_an_officer_is_told_what_is_kept_about_a_person(clinic: Clinic) -> None:
    told = command(clinic.folder, "person_values", "--reason", REASON, officer=clinic.officers[0], person=BEN)
    assert sorted(event for event in clinic.events[BEN] if event in told) == sorted(clinic.events[BEN])
    assert not [event for event in clinic.events[ADA] if event in told]


def test_only_a_privacy_officer_with_the_password_sees_anything(clinic: Clinic) -> None:
    ask = ("person_values", "--reason", REASON)
    assert command(clinic.folder, *ask, officer=clinic.officers[0], person=ADA)
    with pytest.raises(CommandError, match="not a privacy officer"):
        command(clinic.folder, *ask, officer=factories.person(Role.COMPLIANCE).username, person=ADA)
    with pytest.raises(CommandError, match="is missing or wrong"):
        command(clinic.folder, *ask, officer=clinic.officers[0], person=ADA, password="a guess")
    with pytest.raises(CommandError, match="there is no account"):
        command(clinic.folder, *ask, officer="nobody", person=ADA)


def test_two_officers_have_a_person_forgotten_and_every_proof_still_holds(database: Database, clinic: Clinic) -> None:
    folder, (first, second) = clinic.folder, clinic.officers
    request = ("privacy_erase", "request", "--basis", "gdpr-17-1-b", "--reason", REASON)
    order = json.loads(command(folder, *request, officer=first, person=BEN))["id"]
    with pytest.raises(CommandError, match="asked for this erasure and so cannot approve it"):
        command(folder, "privacy_erase", "approve", order, officer=first, person=BEN)
    with pytest.raises(CommandError):
        command(folder, "privacy_erase", "approve", order, officer=second, person=ADA)
    before = [entry_proof(event_id=event).proof for event in clinic.events[BEN]]
    command(folder, "privacy_erase", "approve", order, officer=second, person=BEN)
    rotate(database)
    assert Erasure.objects.get(pk=order).state == "erased"
    assert [entry_proof(event_id=event).proof for event in clinic.events[BEN]] == before
    for number, proof in enumerate(before):
        path = folder / f"{number}.tlog-proof"
        path.write_text(proof)
        assert verify_paths([path], trust_file=clinic.trust)[0].exit_code is ExitCode.VERIFIED
    with pytest.raises(CommandError, match="nothing is kept about this person"):
        command(folder, "disclosure_export", str(folder / "ben"), "--reason", REASON, officer=first, person=BEN)
    assert judged(clinic, clinic.disclosed) is ExitCode.VERIFIED
