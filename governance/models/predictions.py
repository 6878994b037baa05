"""What models decided about persons, under which decision of the gate, and what people made of it.

Who a row is about stands in none of its columns. The rows of one person have nothing in common: each is filed under a
pseudonym of its own, which only the person's key makes, and what is personal is encrypted under that key.
"""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import Q

from governance.enums import DecisionStanding, HumanAction
from governance.models.decisions import Decision, Deployment
from governance.models.exceptions import Override
from governance.models.inventory import DIGEST_LENGTH, Model, ModelVersion
from modelnotary.ids import new_id


class PredictionBatch(models.Model):
    """What a system reported at once. Its entry in the ledger commits to every record by one root. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "prb"), editable=False)
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    size = models.PositiveIntegerField(help_text="How many records it has.")
    root = models.CharField(max_length=DIGEST_LENGTH, help_text="Merkle tree hash (RFC 6962) over their documents.")
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("-received_at",)
        verbose_name_plural = "prediction batches"

    def __str__(self) -> str:
        return f"{self.size} records of {self.received_at:%Y-%m-%d %H:%M:%S} UTC"


class _Record(models.Model):
    """One record of a batch.

    Attributes:
        document: Canonical JSON, a leaf of the batch's tree at `position`; personal values in it are commitments.
        sealed: The personal values themselves, under the person's key.
    """

    reference = models.UUIDField(unique=True, help_text="The sender's own name for it.")
    batch = models.ForeignKey(PredictionBatch, on_delete=models.PROTECT, related_name="%(class)ss")
    position = models.PositiveIntegerField()
    at = models.DateTimeField(help_text="When it was made, as the sender says.")
    document = models.BinaryField()
    sealed = models.BinaryField()

    class Meta:
        abstract = True


class PredictionRecord(_Record):
    """One output of a model about one person, and what the gate's records said of the model at that moment."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "prd"), editable=False)
    environment = models.SlugField(max_length=80)
    model_digest = models.CharField(max_length=DIGEST_LENGTH)
    model_version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.PROTECT, related_name="predictions", help_text="None: not registered."
    )
    model = models.ForeignKey(Model, null=True, on_delete=models.PROTECT, related_name="+")
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.PROTECT, related_name="+")
    decision = models.ForeignKey(Decision, null=True, on_delete=models.PROTECT, related_name="+")
    standing = models.CharField(max_length=20, blank=True, choices=DecisionStanding.choices)
    override = models.ForeignKey(Override, null=True, on_delete=models.PROTECT, related_name="+")
    is_approved = models.BooleanField(help_text="A decision that stood, or an override in force, allowed it then.")
    pseudonym = models.BinaryField(unique=True, help_text="Only the person's key makes it.")

    class Meta:
        ordering = ("-at",)
        indexes = (
            models.Index(fields=("-at",), name="prediction_by_time"),
            models.Index(
                fields=("environment", "-at"), condition=Q(is_approved=False), name="prediction_unapproved_by_time"
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=("batch", "position"), name="prediction_position_once"),
            models.CheckConstraint(
                condition=Q(is_approved=True) & (Q(standing=DecisionStanding.PASSED) | Q(override__isnull=False))
                | Q(is_approved=False, override=None) & ~Q(standing=DecisionStanding.PASSED),
                name="prediction_approved_by_something",
            ),
        )

    def __str__(self) -> str:
        return f"Prediction {self.reference}"


class HumanOverride(_Record):
    """What a person made of a prediction: accepted, modified or rejected it. A later one does not replace it."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "hov"), editable=False)
    prediction = models.ForeignKey(PredictionRecord, on_delete=models.PROTECT, related_name="human_overrides")
    action = models.CharField(max_length=10, choices=HumanAction.choices)
    person = models.CharField(max_length=200, help_text="Who did it, as their system names them.")
    person_name = models.CharField(max_length=200)

    class Meta:
        ordering = ("at", "id")
        constraints = (models.UniqueConstraint(fields=("batch", "position"), name="human_override_position_once"),)

    def __str__(self) -> str:
        return f"{self.get_action_display()} by {self.person_name}"
