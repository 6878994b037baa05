"""What the inventory says of a model beyond its name: how it works, where it comes from, who answers for it."""

from functools import partial

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from governance.enums import Methodology, Provenance
from governance.models.inventory import Model
from modelnotary.ids import new_id


class ModelDescription(models.Model):
    """One version of what is said of a model. Insert-only: a change is a new version."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "mds"), editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="descriptions")
    number = models.PositiveIntegerField()
    methodology = models.CharField(max_length=20, choices=Methodology.choices)
    provenance = models.CharField(max_length=20, choices=Provenance.choices)
    vendor = models.CharField(max_length=200, blank=True, help_text="Who sells it, where it was bought.")
    restrictions_on_use = models.TextField(help_text="What it must not be used for.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    developer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    validator = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    described_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    described_at = models.DateTimeField()

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=("model", "number"), name="model_description_number_once"),
            models.CheckConstraint(
                condition=Q(provenance=Provenance.INTERNAL, vendor="")
                | (Q(provenance=Provenance.VENDOR) & ~Q(vendor="")),
                name="model_description_names_the_vendor",
            ),
            models.CheckConstraint(
                condition=Q(validator__isnull=True)
                | (~Q(validator=F("owner")) & (Q(developer__isnull=True) | ~Q(validator=F("developer")))),
                name="model_validator_is_independent",
            ),
        )

    def __str__(self) -> str:
        return f"Description {self.number} of {self.model}"
