"""What is declared of an AI system: the facts that decide which controls apply to it."""

from functools import partial

from django.conf import settings
from django.db import models

from governance.models.inventory import AiSystem
from modelnotary.ids import new_id


class SystemDeclaration(models.Model):
    """One version of what is declared of a system. Insert-only: a change is a new version."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "dcl"), editable=False)
    system = models.ForeignKey(AiSystem, on_delete=models.PROTECT, related_name="declarations")
    number = models.PositiveIntegerField()
    facts = models.JSONField(help_text="Name -> value. What is left out is unknown.")
    reason = models.TextField(help_text="Why it is in scope or not, and what the rest rests on.")
    declared_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    declared_at = models.DateTimeField()

    class Meta:
        ordering = ("-number",)
        constraints = (models.UniqueConstraint(fields=("system", "number"), name="system_declaration_number_once"),)

    def __str__(self) -> str:
        return f"Declaration {self.number} of {self.system}"
