"""The attack catalogue against exported bundles."""

import attack_catalogue
import pytest
from attack_catalogue import Attack
from attack_export import ATTACKS, ExportSurface
from export_victim import Export

SURFACE = ExportSurface(1_500)


def test_a_clean_export_raises_no_alarm() -> None:
    with SURFACE.victim() as victim:
        assert SURFACE.findings(victim) == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_noticed_by_the_check_and_at_the_entry_it_has_to_be(attack: Attack[Export]) -> None:
    attempt = attack_catalogue.attempt(SURFACE, attack)
    assert attempt.is_detected, f"expected {attempt.expected}, found {[str(finding) for finding in attempt.findings]}"


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
