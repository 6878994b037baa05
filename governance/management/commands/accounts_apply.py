"""`manage.py accounts_apply FILE`: make the people, service accounts and tokens that a YAML file names.

    people:           [{username, full_name, email, roles: [compliance]}]
    service_accounts: [{username, owner}]
    tokens:           [{user, name, scopes: [gate:read], days: 30}]

Accounts that exist are kept as they are; tokens are made anew. Prints JSON with the generated passwords of new people
and the text of the tokens: keep it like a key, it is shown once.
"""

import json
import secrets
from argparse import ArgumentParser
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from governance.actors import system_actor
from governance.enums import Role, Scope
from governance.models import User
from governance.services.people import person_create, service_account_create, token_create
from modelnotary.errors import ModelNotaryError

_SETUP = system_actor("setup")


class Command(BaseCommand):
    """Apply a file of accounts, all of it or nothing."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file."""
        parser.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Make what is missing and print the secrets."""
        now = timezone.now()
        try:
            wanted = yaml.safe_load(options["file"].read_text(encoding="utf-8"))
            with transaction.atomic():
                passwords = dict(filter(None, (_person(item, now) for item in wanted.get("people", []))))
                for item in wanted.get("service_accounts", []):
                    _service_account(item, now)
                tokens = {item["name"]: _token(item, now) for item in wanted.get("tokens", [])}
        except (ModelNotaryError, OSError, yaml.YAMLError, User.DoesNotExist) as error:
            raise CommandError(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise CommandError(f"{options['file']} is not as the help of this command says: {error!r}") from error
        self.stdout.write(json.dumps({"passwords": passwords, "tokens": tokens}, indent=2))


def _person(item: dict[str, Any], at: datetime) -> tuple[str, str] | None:
    if User.objects.filter(username=item["username"]).exists():
        return None
    password = secrets.token_urlsafe(16)
    person_create(
        actor=_SETUP,
        username=item["username"],
        full_name=item["full_name"],
        email=item["email"],
        password=password,
        roles=[Role(role) for role in item["roles"]],
        at=at,
    )
    return item["username"], password


def _service_account(item: dict[str, Any], at: datetime) -> None:
    if not User.objects.filter(username=item["username"]).exists():
        owner = User.objects.get(username=item["owner"])
        service_account_create(actor=_SETUP, username=item["username"], owner=owner, at=at)


def _token(item: dict[str, Any], at: datetime) -> str:
    return token_create(
        actor=_SETUP,
        user=User.objects.get(username=item["user"]),
        name=item["name"],
        scopes=[Scope(scope) for scope in item["scopes"]],
        expires_at=at + timedelta(days=item["days"]),
        at=at,
    ).text
