"""The same record of eight fields four times: plain, governed by us, and watched by either library as it proposes."""

from typing import ClassVar, Self

from auditlog.registry import auditlog
from django.db import models
from simple_history.models import HistoricalRecords


class Record(models.Model):
    """Something that is governed; eight fields and a key."""

    slug = models.CharField(max_length=80)
    name = models.CharField(max_length=200)
    purpose = models.TextField()
    jurisdiction = models.CharField(max_length=200)
    contains_phi = models.BooleanField()
    risk_tier = models.IntegerField()
    threshold = models.FloatField()
    registered_at = models.DateTimeField()

    # Said aloud for the type checker, which knows the product's settings only.
    objects: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Plain(Record):
    """Nobody watches."""


class Governed(Record):
    """Its table has the triggers of every governed table, and each change is recorded with an event."""


class Logged(Record):
    """Watched by django-auditlog."""


class Historied(Record):
    """Watched by django-simple-history."""

    history: ClassVar[HistoricalRecords] = HistoricalRecords()


auditlog.register(Logged)
