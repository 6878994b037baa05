"""Waiting for each other, where there is no row yet that could be locked."""

from django.db import connection


def name_lock(name: str) -> None:
    """Make every transaction that asks for the same name wait until this one ends.

    Two registrations of one thing at the same moment would each find it missing.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
