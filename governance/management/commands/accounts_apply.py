"""`manage.py accounts_apply FILE`: make the people, service accounts and tokens that a YAML file names.

    business_units:   [{slug, name}]
    people:           [{username, full_name, email, roles: [compliance], business_unit: slug}]
    service_accounts: [{username, owner, business_unit: slug}]
    tokens:           [{user, name, scopes: [gate:read], days: 30}]

A business unit may be left out: roles then count for the whole organisation, and a service account works for all of it.
Units and accounts that exist are kept as they are; tokens are made anew. Prints JSON with the generated passwords of
new people and the text of the tokens: keep it like a key, it is shown once.
"""

import json
import secrets
from argparse import ArgumentParser
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from governance.actors import system_actor
from governance.enums import Role, Scope
from governance.models import BusinessUnit, User
from governance.services.people import person_create, service_account_create, token_create
from governance.services.units import unit_create
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
                for item in wanted.get("business_units", []):
                    _business_unit(item, now)
                passwords = dict(filter(None, (_person(item, now) for item in wanted.get("people", []))))
                for item in wanted.get("service_accounts", []):
                    _service_account(item, now)
                tokens = {item["name"]: _token(item, now) for item in wanted.get("tokens", [])}
        except (ModelNotaryError, OSError, yaml.YAMLError, ObjectDoesNotExist) as error:
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
        unit=_unit_of(item),
    )
    return item["username"], password


def _business_unit(item: dict[str, Any], at: datetime) -> None:
    if not BusinessUnit.objects.filter(slug=item["slug"]).exists():
        unit_create(actor=_SETUP, slug=item["slug"], name=item["name"], at=at)


def _unit_of(item: dict[str, Any]) -> BusinessUnit | None:
    return BusinessUnit.objects.get(slug=item["business_unit"]) if item.get("business_unit") else None


def _service_account(item: dict[str, Any], at: datetime) -> None:
    if not User.objects.filter(username=item["username"]).exists():
        owner = User.objects.get(username=item["owner"])
        service_account_create(actor=_SETUP, username=item["username"], owner=owner, at=at, unit=_unit_of(item))


def _token(item: dict[str, Any], at: datetime) -> str:
    return token_create(
        actor=_SETUP,
        user=User.objects.get(username=item["user"]),
        name=item["name"],
        scopes=[Scope(scope) for scope in item["scopes"]],
        expires_at=at + timedelta(days=item["days"]),
        at=at,
    ).text
