"""The web process's entry point."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import config.celery  # noqa: F401  a task sent from a request must find the configured broker

application = get_wsgi_application()
