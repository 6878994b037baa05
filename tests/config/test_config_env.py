from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import env_bool, env_int, env_list, env_secret, env_str


@pytest.mark.parametrize("given", [None, ""])
@pytest.mark.parametrize("read", [env_str, env_int, env_bool, env_list, env_secret])
def test_a_required_variable_that_is_absent_or_empty_is_named(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object], given: str | None
) -> None:
    monkeypatch.delenv("WANTED", raising=False)
    if given is not None:
        monkeypatch.setenv("WANTED", given)
    with pytest.raises(ImproperlyConfigured, match=r"WANTED is not set .* Set WANTED"):
        read("WANTED")


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (env_str, " as is ", " as is "),
        (env_int, "8000", 8000),
        (env_int, "-1", -1),
        (env_bool, "TRUE", True),
        (env_bool, "on", True),
        (env_bool, "No", False),
        (env_bool, "0", False),
        (env_list, "a, b,,c ", ["a", "b", "c"]),
        (env_list, ",", []),
    ],
)
def test_values_are_read_with_their_type(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object], text: str, value: object
) -> None:
    monkeypatch.setenv("WANTED", text)
    assert read("WANTED") == value


def test_defaults_are_used_only_for_absent_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANTED", raising=False)
    assert env_str("WANTED", default="") == ""
    assert env_int("WANTED", default=0) == 0
    assert env_bool("WANTED", default=False) is False
    assert env_list("WANTED", default=["a"]) == ["a"]
    monkeypatch.setenv("WANTED", "2")
    assert env_int("WANTED", default=0) == 2


@pytest.mark.parametrize(("read", "text"), [(env_int, "12.5"), (env_int, "ten"), (env_bool, "maybe"), (env_bool, "2")])
def test_a_value_of_another_type_is_refused_and_shown(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object], text: str
) -> None:
    monkeypatch.setenv("WANTED", text)
    with pytest.raises(ImproperlyConfigured, match=f"WANTED in the environment is '{text}'"):
        read("WANTED")


def test_a_secret_comes_from_the_variable_or_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" s3cret \r\n")
    monkeypatch.setenv("WANTED_FILE", str(file))
    monkeypatch.delenv("WANTED", raising=False)
    assert env_secret("WANTED") == " s3cret "
    monkeypatch.setenv("WANTED", "direct")
    with pytest.raises(ImproperlyConfigured, match="both set") as caught:
        env_secret("WANTED")
    assert "direct" not in str(caught.value)
    monkeypatch.delenv("WANTED_FILE")
    assert env_secret("WANTED") == "direct"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot be read"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff", "cannot be read")],
)
def test_a_secret_file_without_a_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.delenv("WANTED", raising=False)
    monkeypatch.setenv("WANTED_FILE", str(file))
    with pytest.raises(ImproperlyConfigured, match=complaint):
        env_secret("WANTED")
