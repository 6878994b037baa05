"""Publishing policies."""

from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Role
from governance.errors import ConflictError
from governance.models import Policy, PolicyVersion, User
from governance.policy.document import PolicyDocument, parse_policy
from governance.services.locks import name_lock
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@transaction.atomic
def policy_publish(*, actor: User, document: str, at: datetime) -> PolicyVersion:
    """Compile a policy and publish it as the next version for its environment; the same text twice is one version.

    Raises:
        PolicyError: The document has faults; all of them are listed.
        ConflictError: The environment has another policy, or the policy another environment.
    """
    parsed = parse_policy(document, roles=frozenset(Role.values))
    policy = _policy_for(parsed, at)
    digest = Digest.of(document.encode())
    existing = policy.versions.filter(digest=digest.text).first()
    if existing:
        return existing
    number = (policy.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    version = PolicyVersion.objects.create(
        policy=policy, number=number, document=document, digest=digest.text, published_by=actor, published_at=at
    )
    event_record(
        event=LineageEvent.POLICY_PUBLISHED,
        actor=actor_of(actor),
        subject=Subject("policy_version", version.id, digest),
        data={"policy": policy.id, "slug": policy.slug, "number": number, "environment": policy.environment},
        at=at,
    )
    return version


def _policy_for(parsed: PolicyDocument, at: datetime) -> Policy:
    name_lock("governance.policies")
    named = Q(slug=parsed.policy) | Q(environment=parsed.environment)
    for policy in Policy.objects.filter(named):
        if (policy.slug, policy.environment) != (parsed.policy, parsed.environment):
            raise ConflictError(
                f'policy "{policy.slug}" governs environment "{policy.environment}"; '
                "one policy governs one environment, so give the other one a policy of its own"
            )
        return policy
    return Policy.objects.create(slug=parsed.policy, environment=parsed.environment, created_at=at)


def policy_document(version: PolicyVersion) -> PolicyDocument:
    """Give a published version in the form that can be evaluated."""
    return parse_policy(version.document, roles=frozenset(Role.values))
