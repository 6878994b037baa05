"""The attack catalogue against the database; its table of edits is played by the tests of the verification."""

from collections.abc import Iterator

import attack_catalogue
import pytest
from attack_catalogue import Attack
from attack_database import ATTACKS, DatabaseSurface, Victim, sample_grow, signed_log
from conftest import Database


@pytest.fixture(scope="module")
def surface(database: Database) -> Iterator[DatabaseSurface]:
    with signed_log(database, 700, 701, 4000) as signed:
        sample_grow(database)
        yield DatabaseSurface(signed)


def test_a_clean_database_raises_no_alarm(surface: DatabaseSurface) -> None:
    with surface.victim() as victim:
        assert surface.findings(victim) == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_noticed_by_the_check_or_the_signer(surface: DatabaseSurface, attack: Attack[Victim]) -> None:
    attempt = attack_catalogue.attempt(surface, attack)
    assert attempt.is_detected, f"expected {attempt.expected}, found {[str(finding) for finding in attempt.findings]}"


def test_what_the_key_covers_up_is_seen_by_nothing_but_the_signers_memory(surface: DatabaseSurface) -> None:
    for attack in ATTACKS[:3]:
        attempt = attack_catalogue.attempt(surface, attack)
        assert [str(finding) for finding in attempt.findings] == ["the signer refuses"]


def test_every_attack_has_a_name_of_its_own(surface: DatabaseSurface) -> None:
    assert len({attack.name for attack in surface.attacks}) == len(surface.attacks) > 50
