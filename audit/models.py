"""The ledger's tables as Django sees them: read-only, owned by SQL migrations, and the sealed personal values."""

from django.db import models


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
    origin = models.TextField()

    class Meta:
        managed = False
        db_table = '"ledger"."entry_view"'
        verbose_name_plural = "entries"
        ordering = ("-body_id",)

    def __str__(self) -> str:
        place = "waiting" if self.seq is None else str(self.seq)
        return f"{self.log} {place}: {self.event_type}"


class Checkpoint(models.Model):
    """A signed tree head (the view ledger.checkpoint_view)."""

    id = models.TextField(primary_key=True)
    log = models.TextField()
    origin = models.TextField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField()

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
    """A person whose data was touched: a key of their own, wrapped by the key-encryption key.

    Destroying `wrapped_key` makes every sealed value of this person unreadable and every commitment unlinkable, while
    each proof in the ledger still verifies.
    """

    lookup = models.BinaryField(max_length=32, unique=True)
    wrapped_key = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"data subject {self.pk}"


class SealedValue(models.Model):
    """A personal value that a ledger entry commits to, encrypted under its data subject's key."""

    event_id = models.TextField()
    name = models.TextField()
    subject = models.ForeignKey(DataSubject, on_delete=models.PROTECT, related_name="values")
    ciphertext = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("event_id", "name"), name="sealed_value_once"),)

    def __str__(self) -> str:
        return f"{self.name} of {self.event_id}"
