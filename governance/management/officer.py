"""Who acts at the command line, and about whom. Neither passwords nor identifiers are arguments: those are listed."""

from argparse import ArgumentParser
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from governance.models import User
from governance.services.officers import Officer


def officer_arguments(parser: ArgumentParser) -> None:
    """Take who acts."""
    parser.add_argument("--officer", required=True, metavar="USERNAME", help="the privacy officer who acts")
    parser.add_argument("--password-file", type=Path, help="a file with the officer's password; asked for when absent")


def person_arguments(parser: ArgumentParser) -> None:
    """Take whom it is about."""
    parser.add_argument("--person-file", type=Path, help="a file with the person's identifier; asked for when absent")


def officer_given(options: dict[str, Any]) -> Officer:
    """Give the officer, with the password as it was given.

    Raises:
        CommandError: There is no such account, or the file cannot be read.
    """
    return _officer(options["officer"], options["password_file"])


def approvers_arguments(parser: ArgumentParser) -> None:
    """Take who approves."""
    parser.add_argument(
        "--approve",
        action="append",
        default=[],
        metavar="USERNAME[=FILE]",
        help="an officer; the password is asked for, or is what FILE holds; to be given twice",
    )


def approvers_given(options: dict[str, Any]) -> list[Officer]:
    """Give those who approve, with their passwords as they were given.

    Raises:
        CommandError: There is no such account, or a file cannot be read.
    """
    named = [text.partition("=") for text in options["approve"]]
    return [_officer(username, Path(file) if file else None) for username, _, file in named]


def person_given(options: dict[str, Any]) -> str:
    """Give the person's identifier.

    Raises:
        CommandError: The file cannot be read.
    """
    return _secret(options["person_file"], "Identifier of the person, as the source system writes it: ")


def _officer(username: str, password: Path | None) -> Officer:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f'there is no account "{username}"')
    return Officer(user=user, password=_secret(password, f"Password of {user.printed_name}: "))


def _secret(path: Path | None, question: str) -> str:
    try:
        return getpass(question) if path is None else path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise CommandError(f"{question.rstrip(': ')} cannot be read: {error}") from error
