"""What the gate decides under a policy, and the signatures of the people who approve."""

from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import models

from governance.enums import ApprovalState, DecisionState, Role, Vote
from governance.models.authenticators import Passkey
from governance.models.inventory import DIGEST_LENGTH, ModelVersion
from governance.models.policies import PolicyVersion
from modelnotary.ids import new_id


class Decision(models.Model):
    """What the gate decided about a model version for an environment, on which evidence and which policy text."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "dec"), editable=False)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="decisions")
    environment = models.SlugField(max_length=80)
    policy_version = models.ForeignKey(PolicyVersion, null=True, on_delete=models.PROTECT, related_name="decisions")
    evidence_set_digest = models.CharField(max_length=DIGEST_LENGTH)
    supersedes = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="successors", help_text="The decision before it."
    )
    context_document = models.BinaryField(help_text="Canonical JSON of the facts, exactly as the rules saw them.")
    context_digest = models.CharField(max_length=DIGEST_LENGTH)
    context = models.JSONField(help_text="The document, parsed for searching.")
    engine = models.CharField(max_length=80, help_text="What evaluated the rules, and its version.")
    results_digest = models.CharField(
        max_length=DIGEST_LENGTH, help_text="Of the rules' results in canonical JSON, before anybody signed."
    )
    rules = models.JSONField(help_text="One result for each rule: outcome, observed, expected, reason.")
    state = models.CharField(max_length=10, choices=DecisionState.choices)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    evaluated_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    attestation = models.BinaryField(null=True, help_text="The signed DSSE envelope, exactly as issued.")
    attestation_digest = models.CharField(max_length=DIGEST_LENGTH, blank=True)

    class Meta:
        ordering = ("-evaluated_at",)
        indexes = (models.Index(fields=("model_version", "environment", "-evaluated_at")),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(state=DecisionState.PENDING, attestation__isnull=True)
                | (~models.Q(state=DecisionState.PENDING) & models.Q(attestation__isnull=False)),
                name="decision_signed_when_final",
            ),
        )

    def __str__(self) -> str:
        return f"{self.model_version} to {self.environment}: {self.get_state_display()}"


class ApprovalRequest(models.Model):
    """What waits for signatures before a decision can pass."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "apr"), editable=False)
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="approval_request")
    quorum = models.PositiveSmallIntegerField()
    roles = models.JSONField(help_text="The roles that may sign.")
    at_least = models.JSONField(default=dict, help_text="Role to the number of signatures wanted in it, at least.")
    state = models.CharField(max_length=10, choices=ApprovalState.choices, default=ApprovalState.OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-opened_at",)

    def __str__(self) -> str:
        return f"Approval of {self.decision}"


class SigningTicket(models.Model):
    """A statement that a person is about to sign by passkey, frozen; its digest is the challenge. Insert-only."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "tkt"), editable=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="tickets")
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    statement = models.BinaryField(help_text="Canonical JSON of what is to be signed.")
    prepared_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("-prepared_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(
                    expires_at__gt=models.F("prepared_at"),
                    expires_at__lte=models.F("prepared_at") + timedelta(seconds=120),
                ),
                name="signing_ticket_short",
            ),
        )

    def __str__(self) -> str:
        return f"{self.request} by {self.signer.printed_name}"


class Signature(models.Model):
    """A person's electronic signature under a decision: what they signed, as whom, why, and when. Insert-only.

    One by passkey has the passkey's own signature over the statement's digest, with what that was made from.
    """

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "sig"), editable=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="signatures")
    signer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="signatures")
    printed_name = models.CharField(max_length=200)
    role = models.CharField(max_length=20, choices=Role.choices)
    vote = models.CharField(max_length=10, choices=Vote.choices)
    meaning = models.TextField()
    reason = models.TextField()
    method = models.CharField(max_length=40, help_text="How the person proved who they are when signing.")
    statement = models.BinaryField(help_text="Canonical JSON of what was signed.")
    statement_digest = models.CharField(max_length=DIGEST_LENGTH)
    signed_at = models.DateTimeField()
    ticket = models.OneToOneField(SigningTicket, null=True, on_delete=models.PROTECT, related_name="signature")
    passkey = models.ForeignKey(Passkey, null=True, on_delete=models.PROTECT, related_name="signatures")
    authenticator_data = models.BinaryField(null=True)
    client_data = models.BinaryField(null=True, help_text="JSON that the browser made, exactly as it came.")
    assertion = models.BinaryField(null=True, help_text="The passkey's signature over both.")

    class Meta:
        ordering = ("signed_at",)
        constraints = (
            models.UniqueConstraint(fields=("request", "signer"), name="one_signature_for_each_person"),
            models.CheckConstraint(
                condition=models.Q(
                    method="passkey",
                    ticket__isnull=False,
                    passkey__isnull=False,
                    authenticator_data__isnull=False,
                    client_data__isnull=False,
                    assertion__isnull=False,
                )
                | ~models.Q(method="passkey")
                & models.Q(
                    ticket__isnull=True,
                    passkey__isnull=True,
                    authenticator_data__isnull=True,
                    client_data__isnull=True,
                    assertion__isnull=True,
                ),
                name="signature_by_passkey_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.printed_name}: {self.get_vote_display()}"


class Deployment(models.Model):
    """A model version put to use in an environment, on the strength of a decision."""

    id = models.CharField(primary_key=True, max_length=40, default=partial(new_id, "dep"), editable=False)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    environment = models.SlugField(max_length=80)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="deployments")
    deployed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    deployed_at = models.DateTimeField()

    class Meta:
        ordering = ("-deployed_at",)

    def __str__(self) -> str:
        return f"{self.model_version} in {self.environment}"
