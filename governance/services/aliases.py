"""Binding aliases to versions. Pointing one elsewhere ends the binding before, which stays."""

from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.errors import ConflictError, UnknownRecordError
from governance.models import AliasBinding, ModelVersion, User
from governance.services.locks import name_lock
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.event import Subject


@transaction.atomic
def alias_bind(*, actor: User, version: ModelVersion, alias: str, observed_via: str, at: datetime) -> AliasBinding:
    """Let an alias of the version's model name this version from now on; what it named before is ended and kept.

    Raises:
        ConflictError: The alias was bound at a later moment than this one.
    """
    name_lock(f"governance.alias {version.model_id} {alias}")
    standing = AliasBinding.objects.filter(model=version.model, alias=alias, bound_to=None).first()
    if standing and standing.model_version_id == version.pk:
        return standing
    if standing:
        _end(standing, actor, at)
    binding = AliasBinding.objects.create(
        model=version.model,
        alias=alias,
        model_version=version,
        bound_from=at,
        observed_via=observed_via,
        bound_by=actor,
    )
    event_record(
        event=LineageEvent.ALIAS_BOUND,
        actor=actor_of(actor),
        subject=Subject("alias_binding", binding.id, Digest.from_text(version.digest)),
        data={
            "model": version.model_id,
            "alias": alias,
            "model_version": version.id,
            "before": standing.model_version_id if standing else None,
            "observed_via": observed_via,
        },
        at=at,
    )
    return binding


@transaction.atomic
def alias_release(*, actor: User, model_id: str, alias: str, at: datetime) -> AliasBinding:
    """Let an alias name nothing from now on; that it named something stays.

    Raises:
        UnknownRecordError: It names nothing.
        ConflictError: The alias was bound at a later moment than this one.
    """
    name_lock(f"governance.alias {model_id} {alias}")
    standing = AliasBinding.objects.filter(model=model_id, alias=alias, bound_to=None).first()
    if standing is None:
        raise UnknownRecordError(f"no version is named by the alias {alias}")
    _end(standing, actor, at)
    event_record(
        event=LineageEvent.ALIAS_RELEASED,
        actor=actor_of(actor),
        subject=Subject("alias_binding", standing.id),
        data={"model": model_id, "alias": alias, "model_version": standing.model_version_id},
        at=at,
    )
    return standing


def _end(binding: AliasBinding, actor: User, at: datetime) -> None:
    if at <= binding.bound_from:
        raise ConflictError(f"the alias {binding.alias} was bound at {binding.bound_from:%Y-%m-%d %H:%M:%S} UTC, later")
    binding.bound_to, binding.ended_by = at, actor
    binding.save(update_fields=["bound_to", "ended_by"])
