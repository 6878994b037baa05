"""The example tables are the ones that PROVENANCE.md describes, byte for byte."""

import csv
import hashlib
import re
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "examples" / "data"
PROVENANCE = (DATA / "PROVENANCE.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^\| `([\w.]+)` \| ([\d,]+) \| (\d+) \| `([0-9a-f]{64})` \|$", PROVENANCE, re.MULTILINE)


def records(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_describes_every_table_there_is() -> None:
    assert sorted(name for name, *_ in TABLES) == sorted(path.name for path in DATA.glob("*.csv"))


@pytest.mark.parametrize(("name", "rows", "columns", "digest"), TABLES)
def test_holds_the_rows_columns_and_bytes_described(name: str, rows: str, columns: str, digest: str) -> None:
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest
    found = records(name)
    assert len(found) == int(rows.replace(",", ""))
    section = PROVENANCE.split(f"## {name}")[1].split("\n## ")[0]
    described = re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE)
    assert list(found[0]) == described
    assert len(described) == int(columns)
    first = described[0]
    assert [record[first] for record in found] == [str(number) for number in range(1, len(found) + 1)]


def test_the_boston_survey_is_the_published_one_with_its_known_last_row() -> None:
    *applications, nobody = records("hmda_boston_1990.csv")
    counts = {
        (race, outcome): sum((record["black"], record["deny"]) == (race, outcome) for record in applications)
        for race in ("yes", "no")
        for outcome in ("yes", "no")
    }
    assert counts == {("yes", "yes"): 96, ("yes", "no"): 243, ("no", "yes"): 189, ("no", "no"): 1852}
    mean = sum(float(record["consumer_credit_score"]) for record in applications) / len(applications)
    assert float(nobody["consumer_credit_score"]) == pytest.approx(mean)
    assert (nobody["public_bad_credit_record"], nobody["self_employed"]) == ("NA", "NA")
    assert not [record for record in applications if "NA" in record.values()]


def test_the_insurance_experiment_has_no_gaps_and_2_861_visits_on_average() -> None:
    found = records("rand_hie_visits.csv")
    assert not [record for record in found if {"", "NA"} & set(record.values())]
    assert sum(int(record["doctor_visits"]) for record in found) / len(found) == pytest.approx(2.861, abs=5e-4)
