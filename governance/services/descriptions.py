"""Saying of a model how it works, where it comes from and who answers for it, in versions that stay."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from audit.enums import LineageEvent
from audit.services import event_record
from governance.actors import actor_of
from governance.enums import Methodology, Provenance
from governance.errors import RejectedInputError, SeparationOfDutiesError
from governance.models import Model, ModelDescription, User
from governance.services.locks import name_lock
from modelnotary.ledger.event import Subject


@dataclass(frozen=True, slots=True)
class Particulars:
    """What is said of a model.

    Attributes:
        methodology: How it comes to its output.
        provenance: Made in-house, or bought.
        vendor: Who sells it; empty when made in-house.
        restrictions_on_use: What it must not be used for.
        owner: Who answers for it.
        developer: Who made it, where that is somebody here.
        validator: Who validates it; neither owner nor developer (SR 26-2 asks for independent validation).
    """

    methodology: Methodology
    provenance: Provenance
    vendor: str
    restrictions_on_use: str
    owner: User
    developer: User | None
    validator: User | None


@transaction.atomic
def model_describe(*, actor: User, model: Model, particulars: Particulars, at: datetime) -> ModelDescription:
    """Keep a new version of what is said of a model, or give the one that says the same and stands.

    Raises:
        RejectedInputError: A bought model names no vendor, one made in-house does, or an account is no person's.
        SeparationOfDutiesError: The validator owns or developed the model.
    """
    _require_consistent(particulars)
    name_lock(f"governance.model_description {model.id}")
    said = {name: getattr(particulars, name) for name in Particulars.__slots__}
    standing = model.descriptions.first()
    if standing and all(getattr(standing, name) == value for name, value in said.items()):
        return standing
    description = ModelDescription.objects.create(
        model=model, number=standing.number + 1 if standing else 1, described_by=actor, described_at=at, **said
    )
    event_record(
        event=LineageEvent.MODEL_DESCRIBED,
        actor=actor_of(actor),
        subject=Subject("model", model.id),
        data={
            "description": description.id,
            "number": description.number,
            **{name: value.id if isinstance(value, User) else value for name, value in said.items()},
        },
        at=at,
    )
    return description


def _require_consistent(particulars: Particulars) -> None:
    bought = particulars.provenance == Provenance.VENDOR
    if bought != bool(particulars.vendor):
        wrong = "a bought model needs the name of its vendor" if bought else "a model made in-house has no vendor"
        raise RejectedInputError(f"/vendor: {wrong}")
    for name in ("owner", "developer", "validator"):
        account: User | None = getattr(particulars, name)
        if account is not None and account.is_service:
            raise RejectedInputError(f"/{name}: {account.get_username()} is a service account; name a person")
    if particulars.validator is not None and particulars.validator in (particulars.owner, particulars.developer):
        raise SeparationOfDutiesError(
            f"/validator: {particulars.validator.printed_name} owns or developed the model; validation is independent"
        )
