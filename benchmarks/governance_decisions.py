"""A decision end to end, and registering versions beside plain Django inserts of the same rows, on real services."""

import os
import time
from collections.abc import Iterator
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from installation import Database, database
from suite import ROUNDS, Row, compared, measured, say

from config.embedded import EmbeddedServices

if TYPE_CHECKING:
    from django.db.models import Model as DjangoModel

    from governance.models import ModelVersion, User
    from modelnotary.ledger.digest import Digest

DECISIONS = 200
VERSIONS = 1_000
RULES = 12
_P99 = 98  # of the 99 cuts of `quantiles(n=100)`
_PLAIN = """
CREATE TABLE plain_modelversion (LIKE governance_modelversion INCLUDING ALL);
GRANT SELECT, INSERT ON plain_modelversion TO mn_app;
"""


def decision_rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure a denial of a policy of 12 rules: evaluated, signed, stored and in the ledger when the call returns."""
    with database(services, "decisions") as made:
        _set_up(made)
        environment, requester = _policy()
        values = [_decisions(made, environment, requester) for _ in range(ROUNDS + 1)]
        name = f"decision end to end: {RULES} rules, signed, stored, in the ledger, committed; p99 of {DECISIONS}"
        yield measured(name, "ms", values[1:], goal=100, better="lower")
        _disconnect()


def registering_rows(services: EmbeddedServices) -> Iterator[Row]:
    """Measure registering versions of one model beside inserting the same rows into a table without triggers."""
    with database(services, "registering") as made:
        made.sql(_PLAIN)
        _set_up(made)
        plain = _plain_model()
        ours, theirs = [], []
        for number in range(ROUNDS + 1):
            say(f"registering, round {number}")
            made.settle()
            mine, other = _registered(plain)
            if number:
                ours.append(mine)
                theirs.append(other)
        name = f"registering {VERSIONS:,} versions / plain Django inserts of the same rows"
        yield compared(name, "s", ours, theirs, goal=2.5, better="lower")
        _disconnect()


def _set_up(made: Database) -> None:
    os.environ.update(made.environment, DJANGO_SETTINGS_MODULE="config.settings")
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    # Several parts share one process; each has a database of its own.
    connections.close_all()
    for alias in connections:
        connections.settings[alias]["NAME"] = made.name
        connections[alias].settings_dict["NAME"] = made.name
    if not (settings.KEYS_DIR / "decision.key").exists():
        call_command("keys_create", verbosity=0)


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()


def _policy() -> tuple[str, "User"]:
    """Publish a policy of 12 rules of which the last is missed; give its environment and who asks."""
    import factories

    from governance.enums import Role

    environment = factories.unique("bench")
    rule = factories.policy_document(environment)["rules"][0]
    rules = [rule | {"id": f"PERF-{number:03}"} for number in range(1, RULES)]
    factories.policy(
        factories.person(Role.COMPLIANCE),
        environment,
        rules=[*rules, rule | {"id": "PERF-999", "clause": "performance.auc > 0.9"}],
    )
    return environment, factories.person()


def _decisions(made: Database, environment: str, requester: "User") -> float:
    import factories

    say("versions and evidence for a round of decisions")
    author, producer = factories.person(), factories.person()
    versions = [factories.model_version(author) for _ in range(DECISIONS)]
    for version in versions:
        factories.evidence(producer, version)
    made.settle()
    taken = [_decision(version, environment, requester) for version in versions]
    return quantiles(taken, n=100)[_P99]


def _decision(version: "ModelVersion", environment: str, requester: "User") -> float:
    from django.utils import timezone

    from governance.services.decisions import decision_evaluate
    from modelnotary.ledger.digest import Digest

    digest = Digest.from_text(version.digest)
    began = time.perf_counter()
    decision = decision_evaluate(actor=requester, digest=digest, environment=environment, at=timezone.now())
    taken = (time.perf_counter() - began) * 1000
    assert decision.state == "failed"
    assert decision.attestation
    return taken


def _registered(plain: "type[DjangoModel]") -> tuple[float, float]:
    """Register versions of one model and insert the same rows plainly, in turns; give the seconds of each."""
    import factories
    from django.utils import timezone

    from governance.services.inventory import model_version_register

    author = factories.person()
    model = factories.model_version(author).model
    digests: list[Digest] = [factories.stored(factories.model_bytes(), author) for _ in range(VERSIONS)]
    ours = theirs = 0.0
    for digest in digests:
        began = time.perf_counter()
        version = model_version_register(
            actor=author, model=model, digest=digest, code_commit="", parameters={}, metrics={}, at=timezone.now()
        )
        ours += time.perf_counter() - began
        values = {field.attname: getattr(version, field.attname) for field in version._meta.concrete_fields}  # noqa: SLF001
        began = time.perf_counter()
        plain._default_manager.create(**values)  # noqa: SLF001
        theirs += time.perf_counter() - began
    return ours, theirs


def _plain_model() -> "type[DjangoModel]":
    """Make a model with the columns of a model version and a table without triggers."""
    from django.db import models

    from governance.models import ModelVersion

    def column(field: Any) -> Any:  # noqa: ANN401 - any field of Django
        if field.is_relation:
            field = field.target_field
            return type(field)(max_length=field.max_length)
        return field.clone()

    columns = {}
    for field in ModelVersion._meta.concrete_fields:  # noqa: SLF001
        made = column(field)
        made.db_column = field.column
        made.null = field.null
        columns[field.attname] = made
    meta = type("Meta", (), {"app_label": "governance", "db_table": "plain_modelversion", "managed": False})
    body: dict[str, Any] = columns | {"Meta": meta, "__module__": __name__}
    return type("PlainModelVersion", (models.Model,), body)
