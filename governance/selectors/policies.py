"""Which policy is in force where and when."""

from datetime import datetime

from django.db.models import Q, QuerySet

from governance.models import ModelVersion, PolicyAttachment, PolicyVersion
from governance.selectors.tiers import tier_of

ALL_TIERS = ""


def attachments_standing(*, at: datetime, **narrowed: object) -> QuerySet[PolicyAttachment]:
    """Give the attachments in force at a moment, all of them or those of a policy, an environment or a tier."""
    standing = PolicyAttachment.objects.filter(Q(valid_to=None) | Q(valid_to__gt=at), valid_from__lte=at)
    return standing.select_related("policy").filter(**narrowed)


def attachment_at(*, environment: str, tier: str, at: datetime) -> PolicyAttachment | None:
    """Give what is attached to exactly this environment and tier at a moment; an empty tier means all tiers."""
    return attachments_standing(at=at, environment=environment, tier=tier).first()


def policy_current(*, environment: str, tier: str, at: datetime) -> PolicyVersion | None:
    """Give the policy version in force for an environment and a risk tier at a moment, or None when there is none.

    A policy attached to the tier goes before one attached to all tiers. Of the policy, the newest version counts. An
    empty tier is that of a system that has none: only a policy for all tiers applies to it.
    """
    attachment = attachment_at(environment=environment, tier=tier, at=at) if tier else None
    attachment = attachment or attachment_at(environment=environment, tier=ALL_TIERS, at=at)
    if attachment is None:
        return None
    versions = attachment.policy.versions.filter(published_at__lte=at)
    return versions.select_related("policy").order_by("-number").first()


def policy_for(*, version: ModelVersion, environment: str, at: datetime) -> PolicyVersion | None:
    """Give the policy version under which a model version is decided for an environment, or None when there is none.

    The tier of its system counts also when it is stale: what nobody looked at anew is not thereby of another tier.
    """
    tier = tier_of(system_id=version.model.system_id, at=at)
    return policy_current(environment=environment, tier=tier, at=at)
