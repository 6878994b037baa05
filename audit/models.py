"""The ledger's tables as Django sees them: read-only, owned by SQL migrations, and the sealed personal values."""

from functools import partial

from django.db import models
from django.db.models import F, Q

from audit.enums import ErasureBasis, ErasureState, HoldScope, Log
from modelnotary.ids import new_id


class Entry(models.Model):
    """One event of a log in its place, with what can be searched of it (the view ledger.entry_view)."""

    body_id = models.BigIntegerField(primary_key=True)
    log = models.TextField()
    seq = models.BigIntegerField("index", null=True)
    event_id = models.TextField("event")
    event_type = models.TextField("type")
    at = models.DateTimeField()
    actor_id = models.TextField()
    actor_name = models.TextField("actor")
    subject_kind = models.TextField()
    subject_id = models.TextField("subject")
    subject_digest = models.TextField(null=True)  # noqa: DJ001 - the database's own null: no digest is not an empty one
    bytes = models.BinaryField()
    leaf = models.BinaryField(null=True)
    log_class = models.TextField()
    origin = models.TextField()

    class Meta:
        managed = False
        db_table = '"ledger"."entry_view"'
        verbose_name_plural = "entries"
        ordering = ("-body_id",)

    def __str__(self) -> str:
        place = "waiting" if self.seq is None else str(self.seq)
        return f"{self.log} {place}: {self.event_type}"


class LogRecord(models.Model):
    """A log, its state and what it follows (the view ledger.log_view)."""

    id = models.SmallIntegerField(primary_key=True)
    name = models.TextField()
    log_class = models.TextField()
    origin = models.TextField()
    predecessor = models.TextField(null=True)  # noqa: DJ001 - the first log follows none
    state = models.TextField()
    state_reason = models.TextField(null=True)  # noqa: DJ001 - nothing stopped it
    min_index = models.BigIntegerField()
    proven = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = '"ledger"."log_view"'
        ordering = ("id",)

    def __str__(self) -> str:
        return self.origin


class Checkpoint(models.Model):
    """A signed tree head (the view ledger.checkpoint_view)."""

    id = models.TextField(primary_key=True)
    log = models.TextField()
    origin = models.TextField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField()
    log_class = models.TextField()

    class Meta:
        managed = False
        db_table = '"ledger"."checkpoint_view"'
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.origin} at {self.size}"


class AnchorRecord(models.Model):
    """A checkpoint that something outside the database holds (the view ledger.anchor_view)."""

    id = models.TextField(primary_key=True)
    log = models.TextField()
    size = models.BigIntegerField()
    kind = models.TextField()
    location = models.TextField()
    receipt = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = '"ledger"."anchor_view"'
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.log} at {self.size}: {self.kind} {self.location}"


class DataSubject(models.Model):
    """A person's own key, wrapped by a generation of the key-encryption key. Nothing else refers to this row.

    `lookup` finds it from the person's identifier, by whoever has the key-encryption key; `wrapped_key` holds that
    identifier too. Rows are added, and a whole generation of them is deleted at once; never is one row changed or
    deleted, so that nothing in the WAL points at it.
    """

    lookup = models.BinaryField(max_length=32, unique=True)
    generation = models.PositiveIntegerField()
    wrapped_key = models.BinaryField()

    class Meta:
        indexes = (models.Index(fields=("generation",), name="data_subject_generation"),)

    def __str__(self) -> str:
        return f"data subject {self.pk}"


class SealedValue(models.Model):
    """A personal value that a ledger entry commits to, encrypted. `tag` is recognised with the person's key only."""

    pk = models.CompositePrimaryKey("event_id", "name")
    event_id = models.TextField()
    name = models.TextField()
    tag = models.BinaryField(max_length=16)
    ciphertext = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.name} of {self.event_id}"


class Erasure(models.Model):
    """The order to forget a person, given by two people; `person` says whom, sealed, and is emptied at the end.

    People are values, as in the ledger. `rotation` is the generation of keys with whose making it is carried out, and
    `irrevocable` is true from when the keys are about to be destroyed.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "ers"), editable=False)
    state = models.CharField(max_length=20, choices=ErasureState.choices, default=ErasureState.REQUESTED)
    basis = models.CharField(max_length=40, choices=ErasureBasis.choices)
    reason = models.TextField()
    person = models.BinaryField(null=True)
    requested_by = models.TextField()
    requested_at = models.DateTimeField()
    request_event = models.TextField()
    approved_by = models.TextField(null=True)  # noqa: DJ001 - nobody yet is not an empty name
    approved_at = models.DateTimeField(null=True)
    approval_event = models.TextField(null=True)  # noqa: DJ001 - the same
    rotation = models.PositiveIntegerField(null=True)
    irrevocable = models.BooleanField(default=False)

    class Meta:
        ordering = ("requested_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")),
                name="erasure_approved_by_another",
            ),
            models.CheckConstraint(
                condition=Q(state__in=("requested", "cancelled"))
                | Q(approved_by__isnull=False, approved_at__isnull=False, approval_event__isnull=False),
                name="erasure_approved_by_somebody",
            ),
            models.CheckConstraint(condition=Q(state__in=ErasureState.values), name="erasure_state_known"),
            models.CheckConstraint(condition=Q(basis__in=ErasureBasis.values), name="erasure_basis_known"),
        )

    def __str__(self) -> str:
        return f"erasure {self.id}"


class LegalHold(models.Model):
    """The order to keep everything about a person (sealed, see `Erasure`) or in a log until it is released."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "hld"), editable=False)
    scope = models.CharField(max_length=20, choices=HoldScope.choices)
    log = models.TextField(null=True, choices=Log.choices)  # noqa: DJ001 - a hold on a person names no log
    person = models.BinaryField(null=True)
    matter = models.TextField()
    reason = models.TextField()
    set_by = models.TextField()
    set_at = models.DateTimeField()
    released_by = models.TextField(null=True)  # noqa: DJ001 - nobody yet is not an empty name
    released_at = models.DateTimeField(null=True)
    release_reason = models.TextField(null=True)  # noqa: DJ001 - the same

    class Meta:
        ordering = ("set_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(scope="log", log__in=Log.values, person__isnull=True)
                | Q(scope="person", log__isnull=True, person__isnull=False)
                | Q(scope="person", log__isnull=True, released_at__isnull=False),
                name="hold_on_a_person_or_a_log",
            ),
        )

    def __str__(self) -> str:
        return f"hold {self.id} ({self.matter})"
