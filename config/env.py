"""Typed readers of the process environment.

A variable that is set but empty counts as not set: that is how compose files and CI systems spell absence.
Secrets have no default, and each may be given as a file instead: ``SECRET_KEY_FILE`` for ``SECRET_KEY``.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def env_str(name: str, default: str | None = None) -> str:
    """Text of a variable; required when `default` is None.

    Raises:
        ImproperlyConfigured: The variable is required and not set.
    """
    value = os.environ.get(name) or default
    if value is None:
        raise ImproperlyConfigured(f"{name} is not set in the environment. Set {name}.")
    return value


def env_int(name: str, default: int | None = None) -> int:
    """Whole number of a variable; required when `default` is None.

    Raises:
        ImproperlyConfigured: The variable is required and not set, or is not a whole number.
    """
    text = env_str(name, None if default is None else str(default))
    try:
        return int(text)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} in the environment is {text!r}, not a whole number. Write digits."
        ) from error


def env_bool(name: str, default: bool | None = None) -> bool:  # noqa: FBT001 - the reader's default is its value
    """Truth value of a variable (1/true/yes/on, 0/false/no/off, any case); required when `default` is None.

    Raises:
        ImproperlyConfigured: The variable is required and not set, or is none of these words.
    """
    text = env_str(name, None if default is None else str(default)).strip().lower()
    if text not in _TRUE | _FALSE:
        raise ImproperlyConfigured(
            f"{name} in the environment is {text!r}, not yes or no. Set {name} to true or false."
        )
    return text in _TRUE


def env_list(name: str, default: Sequence[str] | None = None) -> list[str]:
    """Comma-separated words of a variable, blanks dropped; required when `default` is None.

    Raises:
        ImproperlyConfigured: The variable is required and not set.
    """
    if default is not None and not os.environ.get(name):
        return list(default)
    return [word.strip() for word in env_str(name).split(",") if word.strip()]


def env_secret(name: str) -> str:
    """Secret text of `name`, or of the file that ``<name>_FILE`` names, without its trailing newline.

    Raises:
        ImproperlyConfigured: Neither or both are given, or the file cannot be read or is empty. The message
            never holds the secret.
    """
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set in the environment. Keep one of them.")
    if value:
        return value
    if not path:
        raise ImproperlyConfigured(
            f"The secret {name} is not set in the environment and has no default. "
            f"Set {name}, or set {name}_FILE to a file that holds it."
        )
    return _secret_file(name, Path(path))


def _secret_file(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(
            f"{name}_FILE names {path}, which cannot be read as text ({error}). Make the file readable by this process."
        ) from error
    if not text:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which is empty. Write the secret into it.")
    return text
