"""A decision is evaluated again from its own stored bytes; whatever was tampered with is named."""

from io import StringIO
from typing import Any

import factories
import psycopg
import pytest
from conftest import Database
from django.core.management import CommandError, call_command
from django.utils import timezone
from psycopg.errors import CheckViolation
from psycopg.types.json import Jsonb

from governance.enums import Role
from governance.models import Decision
from governance.policy.engine import ENGINE
from governance.policy.evaluation import Context, EvidenceFacts
from governance.services.decisions import decision_evaluate
from governance.services.replay import decision_replay
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")


@pytest.fixture
def decided() -> Decision:
    """A denial: everything of it is signed at once."""
    environment, version = factories.unique("replayed"), factories.model_version(factories.person())
    # A loss has no upper limit of one, so that its numbers are of every form that canonical JSON writes.
    loss = {"clause": "performance.log_loss <= 1.0", "observed": "performance.log_loss"}
    rule = factories.policy_document(environment)["rules"][0] | loss
    missing = rule | {"id": "BIAS-1", "evidence": "bias", "clause": "bias.auc > 0.5", "observed": "bias.auc"}
    broken = rule | {"id": "BROKEN-1", "clause": "1 / 0 == 1"}
    factories.policy(factories.person(Role.COMPLIANCE), environment, rules=[rule, missing, broken])
    for value in (100000.0, 1e-22, 0.1 + 0.2):
        factories.evidence(factories.person(), version, log_loss=value)
    decision = decision_evaluate(
        actor=factories.person(),
        digest=Digest.from_text(version.digest),
        environment=environment,
        at=timezone.now(),
    )
    return Decision.objects.get(pk=decision.pk)


def tamper(database: Database, decision: Decision, **columns: Any) -> Decision:
    """What somebody can do who owns the tables and switches their triggers off."""
    assignments = ", ".join(f"{name} = %s" for name in columns)
    with psycopg.connect(database.environment["MIGRATION_DATABASE_URL"]) as raw:
        raw.execute("ALTER TABLE governance_decision DISABLE TRIGGER USER")
        raw.execute(
            f"UPDATE governance_decision SET {assignments} WHERE id = %s".encode(),  # noqa: S608
            (*columns.values(), decision.id),
        )
        raw.execute("ALTER TABLE governance_decision ENABLE TRIGGER USER")
    return Decision.objects.get(pk=decision.pk)


def test_what_is_untouched_replays_byte_for_byte(decided: Decision) -> None:
    assert [rule["outcome"] for rule in decided.rules] == ["fail", "fail", "error"]
    replayed = decision_replay(decided)
    assert (replayed.is_same, replayed.engine, replayed.engine_now) == (True, ENGINE, ENGINE)


def test_facts_that_do_not_have_their_digest_are_refused_by_the_database(database: Database, decided: Decision) -> None:
    with pytest.raises(CheckViolation):
        tamper(database, decided, context_document=b'{"evidence":[],"model":{}}')


def test_tampered_facts_results_and_states_are_each_named(database: Database, decided: Decision) -> None:
    other = Context(model={}, evidence=(EvidenceFacts("evd_1", "d", "performance", {"log_loss": 0.9}),)).to_bytes()
    rules = decided.rules
    tampered: list[tuple[dict[str, Any], str]] = [
        ({"context_document": other, "context_digest": Digest.of(other).text}, "rule PERF-001: "),
        ({"rules": Jsonb([rules[0] | {"observed": 0.8}, *rules[1:]])}, "rule PERF-001: observed"),
        ({"rules": Jsonb([rules[0] | {"outcome": "pass"}, *rules[1:]])}, "rule PERF-001: outcome"),
        ({"rules": Jsonb(rules[:2])}, "2 results are on record, and 3"),
        ({"context": Jsonb({"model": {}, "evidence": []})}, "the facts shown"),
        ({"results_digest": Digest.of(b"").text}, "byte for byte"),
        ({"state": "failed"}, "the state is not what was signed"),
        ({"context_document": b"[]", "context_digest": Digest.of(b"[]").text}, "cannot be evaluated again"),
    ]
    untouched = {
        name: Jsonb(value) if isinstance(value, (dict, list)) else value
        for name, value in Decision.objects.values().get(pk=decided.pk).items()
        if name in {"context_document", "context_digest", "rules", "context", "results_digest", "state"}
    }
    for columns, words in tampered:
        assert words in decision_replay(tamper(database, decided, **columns)).difference
        assert decision_replay(tamper(database, decided, **untouched)).is_same


def test_results_that_agree_with_forged_facts_are_not_what_was_signed(database: Database, decided: Decision) -> None:
    """Whoever changes facts, results and both digests alike still lacks the decision key."""
    seen = Context.from_bytes(bytes(decided.context_document))
    forged = Context(model=seen.model | {"model.format": "onnx"}, evidence=seen.evidence)
    document = forged.to_bytes()
    columns = {
        "context_document": document,
        "context_digest": Digest.of(document).text,
        "context": Jsonb(forged.to_json()),
    }
    difference = decision_replay(tamper(database, decided, **columns)).difference
    assert difference == "the digest of the facts is not what was signed"


def test_the_command_names_what_came_out_otherwise_and_fails(database: Database, decided: Decision) -> None:
    said = StringIO()
    call_command("decisions_replay", decided.id, stdout=said)
    assert "1 of 1 decisions came out byte for byte" in said.getvalue()
    tamper(database, decided, results_digest="")
    with pytest.raises(CommandError, match="1 came out otherwise"):
        call_command("decisions_replay", decided.id, stdout=said)
    assert f"{decided.id} ({ENGINE}): the results are not" in said.getvalue()
    for wrong in ((), (decided.id, "--all"), ("dec_none",)):
        with pytest.raises(CommandError):
            call_command("decisions_replay", *wrong)
