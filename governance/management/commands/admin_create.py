"""`manage.py admin_create`: make the first administrator, once."""

import os
import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from governance.actors import system_actor
from governance.models import User
from governance.services.people import administrator_create


class Command(BaseCommand):
    """Create the administrator whose password is in NOTARY_HOME/secrets/admin-password."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Create the account unless one exists."""
        if User.objects.filter(is_superuser=True).exists():
            return
        path = settings.NOTARY_HOME / "secrets" / "admin-password"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = secrets.token_urlsafe(18)
        # The file first: an account whose password nobody knows would be of no use.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(password + "\n")
        administrator_create(actor=system_actor("setup"), username="admin", password=password, at=timezone.now())
        self.stdout.write(f"administrator admin created; the password is in {path}")
