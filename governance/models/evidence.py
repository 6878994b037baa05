"""Evidence: immutable facts bound to the digest of what they are about, and what came in the place of which."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual

from governance.evidence.registry import About, installed_types
from governance.models.inventory import DIGEST_LENGTH, AiSystem, DatasetVersion, ModelVersion
from modelnotary.ids import new_id

REASON_MINIMUM = 20
ABOUT = [(about.value, about.value.replace("_", " ")) for about in About]


def _bound(about: About) -> Q:
    fields = {"model_version": About.MODEL_VERSION, "dataset_version": About.DATASET_VERSION, "system": About.SYSTEM}
    return Q(about=about.value, **{f"{name}__isnull": kind is not about for name, kind in fields.items()})


def _reasoned(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=GreaterThanOrEqual(Length("reason"), REASON_MINIMUM), name=name)


class Evidence(models.Model):
    """One fact about one subject, kept as the bytes that were deposited."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "evd"), editable=False)
    type = models.CharField(max_length=40)
    schema_version = models.PositiveSmallIntegerField(default=1)
    about = models.CharField(max_length=20, choices=ABOUT)
    model_version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="evidence")
    dataset_version = models.ForeignKey(DatasetVersion, null=True, on_delete=models.PROTECT, related_name="evidence")
    system = models.ForeignKey(AiSystem, null=True, on_delete=models.PROTECT, related_name="evidence")
    subject_digest = models.CharField(max_length=DIGEST_LENGTH)
    document = models.BinaryField(help_text="Canonical JSON, exactly as hashed.")
    digest = models.CharField(max_length=DIGEST_LENGTH)
    payload = models.JSONField(help_text="The document, parsed for searching.")
    producer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    measured = models.BooleanField(help_text="Computed by the product itself, not reported by the producer.")
    collected_at = models.DateTimeField(help_text="When the fact was established, as the producer says.")
    valid_until = models.DateTimeField(help_text="From then on it satisfies no rule.")
    deposited_at = models.DateTimeField()

    class Meta:
        ordering = ("-deposited_at",)
        verbose_name_plural = "evidence"
        constraints = (
            models.UniqueConstraint(fields=("subject_digest", "type", "digest"), name="evidence_once"),
            models.CheckConstraint(
                condition=_bound(About.MODEL_VERSION)
                | _bound(About.DATASET_VERSION)
                | _bound(About.SYSTEM)
                | _bound(About.ORGANIZATION),
                name="evidence_has_one_subject",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__gt=F("collected_at")), name="evidence_valid_after_collected"
            ),
        )

    def __str__(self) -> str:
        return f"{self.title} of {self.subject}"

    @property
    def title(self) -> str:
        """The type in words; of one that is the installation's own, its name."""
        known = installed_types().get(self.type)
        return known.title if known else self.type

    @property
    def subject(self) -> ModelVersion | DatasetVersion | AiSystem | str:
        """What it is about."""
        return self.model_version or self.dataset_version or self.system or "the organization"


class EvidenceSupersession(models.Model):
    """A producer's claim that one piece of evidence takes the place of another, with the reason. Insert-only.

    Until a reviewer accepts it the superseded piece goes on counting.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "sup"), editable=False)
    superseded = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="superseded_by")
    successor = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="supersedes")
    reason = models.TextField()
    claimed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    claimed_at = models.DateTimeField()

    class Meta:
        ordering = ("-claimed_at",)
        constraints = (
            models.CheckConstraint(condition=~Q(superseded=F("successor")), name="supersession_by_another"),
            _reasoned("supersession_has_a_reason"),
        )

    def __str__(self) -> str:
        return f"{self.superseded_id} superseded by {self.successor_id}"


class SupersessionAcceptance(models.Model):
    """A reviewer's acceptance of a claim: from then on the superseded piece no longer counts. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "sac"), editable=False)
    supersession = models.OneToOneField(EvidenceSupersession, on_delete=models.PROTECT, related_name="acceptance")
    reason = models.TextField()
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField()

    class Meta:
        ordering = ("-accepted_at",)
        constraints = (_reasoned("acceptance_has_a_reason"),)

    def __str__(self) -> str:
        return f"Acceptance of {self.supersession_id}"
