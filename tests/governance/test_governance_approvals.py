"""Electronic signatures: one terminal answer whatever happens at once, and a statement of exactly what was signed."""

import json
from datetime import timedelta

import factories
import psycopg
import pytest
from api_driver import at_once
from django.conf import settings
from django.db import connection
from django.utils import timezone

from audit.models import Entry
from governance.enums import ApprovalState, DecisionState, Role, Vote
from governance.errors import (
    ConflictError,
    HumanRequiredError,
    ReauthenticationError,
    SeparationOfDutiesError,
    StaleEvidenceError,
)
from governance.models import Evidence, Signature, User
from governance.selectors.gate import gate_assert
from governance.services.proofs import PasswordAndCode
from modelnotary.attest.decision import decision_open
from modelnotary.ledger.digest import Digest
from modelnotary.verify.trust import Trust

pytestmark = pytest.mark.usefixtures("database", "keys")
ROUNDS = 4


def issued(case: factories.Case) -> int:
    """How often the decision was issued."""
    return Entry.objects.filter(event_type="decision.issued", subject_id=case.decision.id).count()


def fresh(case: factories.Case) -> tuple[str, str, list[str]]:
    """The decision's state, its request's state, and the votes that count."""
    case.decision.refresh_from_db()
    votes = Signature.objects.filter(request=case.request).order_by("vote").values_list("vote", flat=True)
    return case.decision.state, case.request.state, list(votes)


def test_a_decision_passes_when_the_last_signature_of_the_quorum_is_given() -> None:
    case = factories.waiting_case(quorum=2)
    case.sign(case.officers[0])
    assert fresh(case) == ("pending", "open", ["approve"])
    assert case.decision.rules[-1]["message"] == "1 of 2 signatures"
    assert not gate_assert(digest=case.digest, environment=case.environment, at=timezone.now()).allowed
    case.sign(case.officers[1])
    assert fresh(case) == ("passed", "approved", ["approve", "approve"])
    assert gate_assert(digest=case.digest, environment=case.environment, at=timezone.now()).allowed
    assert issued(case) == 1


def test_one_refusal_ends_it_and_the_gate_stays_closed() -> None:
    case = factories.waiting_case(quorum=2)
    case.sign(case.officers[0])
    case.sign(case.officers[1], vote=Vote.REJECT)
    assert fresh(case) == ("failed", "rejected", ["approve", "reject"])
    answer = gate_assert(digest=case.digest, environment=case.environment, at=timezone.now())
    assert (answer.allowed, answer.reason_code) == (False, "decision-failed")
    assert "refuses approval" in answer.message


def test_a_signature_states_who_signed_what_on_which_evidence_and_why() -> None:
    case = factories.waiting_case()
    signature = case.sign(case.officers[0])
    statement = json.loads(bytes(signature.statement))
    assert statement == {
        "format": "modelnotary-signature/v1",
        "decision": case.decision.id,
        "model_digest": case.version.digest,
        "environment": case.environment,
        "policy_digest": case.policy.digest,
        "evidence_set_digest": case.decision.evidence_set_digest,
        "vote": "approve",
        "meaning": "I have reviewed the evidence and approve this use.",
        "reason": factories.REASON,
        "printed_name": case.officers[0].printed_name,
        "signer": case.officers[0].id,
        "role": "compliance",
        "method": "password+totp",
        "signed_at": statement["signed_at"],
    }
    assert signature.statement_digest == Digest.of(bytes(signature.statement)).text
    entry = Entry.objects.get(event_type="approval.signed", subject_id=signature.id)
    assert entry.subject_digest == signature.statement_digest
    case.decision.refresh_from_db()
    trust = Trust.from_file(settings.NOTARY_HOME / "trust.json")
    decision, _ = decision_open(bytes(case.decision.attestation or b""), [key.key for key in trust.decision_keys])
    assert [approval.statement.text for approval in decision.approvals] == [signature.statement_digest]


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_two_approvals_at_once_count_once_each(_round: int) -> None:
    case = factories.waiting_case(quorum=2)
    at_once(*(lambda officer=officer: case.sign(officer) for officer in case.officers))
    assert fresh(case) == ("passed", "approved", ["approve", "approve"])
    assert issued(case) == 1


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_two_approvals_at_once_where_one_suffices_leave_one_signature(_round: int) -> None:
    case = factories.waiting_case(quorum=1)
    results = at_once(*(lambda officer=officer: case.sign(officer) for officer in case.officers))
    assert [type(result) for result in results if isinstance(result, Exception)] == [ConflictError]
    assert fresh(case) == ("passed", "approved", ["approve"])
    assert issued(case) == 1


@pytest.mark.parametrize("quorum", [1, 2])
@pytest.mark.parametrize("_round", range(ROUNDS))
def test_an_approval_and_a_refusal_at_once_give_one_terminal_answer(_round: int, quorum: int) -> None:
    case = factories.waiting_case(quorum=quorum)
    at_once(
        lambda: case.sign(case.officers[0], vote=Vote.APPROVE), lambda: case.sign(case.officers[1], vote=Vote.REJECT)
    )
    state, request, votes = fresh(case)
    if quorum == 1:
        assert (state, request, votes) in (("passed", "approved", ["approve"]), ("failed", "rejected", ["reject"]))
    else:
        assert (state, request) == ("failed", "rejected")
        assert votes in (["approve", "reject"], ["reject"])
    assert issued(case) == 1


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_one_person_signing_many_times_at_once_has_signed_once(_round: int) -> None:
    case = factories.waiting_case(quorum=2)
    proof = factories.proof(case.officers[0])
    results = at_once(*[lambda: case.sign(case.officers[0], proof=proof)] * 4)
    refused = [type(result) for result in results if isinstance(result, Exception)]
    assert len(refused) == 3
    assert set(refused) <= {ConflictError, ReauthenticationError}  # signed already, or the code was used already
    assert fresh(case) == ("pending", "open", ["approve"])
    with pytest.raises(ConflictError, match="has signed this request already"):
        case.sign(case.officers[0], vote=Vote.REJECT)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_evidence_that_arrives_while_somebody_signs_never_leaves_the_gate_open(_round: int) -> None:
    case = factories.waiting_case()
    at_once(
        lambda: case.sign(case.officers[0]),
        lambda: factories.evidence(case.producer, case.version, auc=0.1),
    )
    assert Evidence.objects.filter(model_version=case.version).count() == 2
    assert not gate_assert(digest=case.digest, environment=case.environment, at=timezone.now()).allowed


def test_evidence_that_arrived_after_the_page_was_shown_makes_a_vote_stale() -> None:
    case = factories.waiting_case()
    factories.evidence(case.producer, case.version, auc=0.76)
    with pytest.raises(StaleEvidenceError):
        case.sign(case.officers[0])
    anew = case.evaluate()
    assert anew.id != case.decision.id
    with pytest.raises(StaleEvidenceError):
        case.sign(case.officers[0], evidence_set_digest=anew.evidence_set_digest)  # still the old request
    assert fresh(case) == ("pending", "open", [])


def test_who_becomes_involved_after_the_request_can_no_longer_sign_it() -> None:
    case = factories.waiting_case()
    pipeline = factories.service_account(case.officers[0])
    factories.evidence(pipeline, case.version, auc=0.9, rows=1)
    with pytest.raises(SeparationOfDutiesError, match="produced evidence"):
        case.sign(case.officers[0])


def test_a_role_taken_away_no_longer_signs() -> None:
    case = factories.waiting_case()
    officer = case.officers[0]
    factories.roles_ended(officer)
    factories.role_granted(officer, Role.AUDITOR)
    with pytest.raises(SeparationOfDutiesError, match="does not hold the role"):
        case.sign(officer)


@pytest.mark.parametrize("password", ["", "wrong", factories.PASSWORD + " ", factories.PASSWORD.upper()])
def test_a_wrong_password_leaves_a_refused_entry_and_nothing_of_the_password(password: str) -> None:
    case = factories.waiting_case()
    officer = case.officers[0]
    with pytest.raises(ReauthenticationError):
        case.sign(officer, proof=PasswordAndCode(password, factories.code(officer)))
    entry = Entry.objects.get(event_type="approval.refused", subject_id=case.request.id)
    event = json.loads(bytes(entry.bytes))
    assert event["data"] == {"code": "reauthentication-required", "vote": "approve"}
    assert event["actor"]["id"] == case.officers[0].id
    assert fresh(case) == ("pending", "open", [])


def test_the_refusals_hold_in_the_service_itself() -> None:
    case = factories.waiting_case()
    refused: dict[User, type[Exception]] = {
        case.author: SeparationOfDutiesError,
        case.producer: SeparationOfDutiesError,
        case.publisher: SeparationOfDutiesError,
        case.requester: SeparationOfDutiesError,
        factories.administrator(): SeparationOfDutiesError,
        case.pipeline: HumanRequiredError,
    }
    for signer, error in refused.items():
        with pytest.raises(error):
            case.sign(signer)
    assert fresh(case) == ("pending", "open", [])


# --- The same, for whoever writes SQL as the application ------------------------------------------------------------
def insert_signature(case: factories.Case, signer: User) -> None:
    Signature.objects.create(
        request=case.request,
        signer=signer,
        printed_name=signer.printed_name,
        role=Role.COMPLIANCE,
        vote=Vote.APPROVE,
        meaning="m",
        reason="r",
        method="none",
        statement=b"{}",
        statement_digest=Digest.of(b"{}").text,
        signed_at=timezone.now(),
    )


INVOLVED = ("author", "pipeline", "producer", "publisher", "requester", "superuser")


@pytest.mark.parametrize("who", INVOLVED)
def test_the_database_refuses_a_signature_of_whoever_took_part(who: str) -> None:
    case = factories.waiting_case()
    signer: User = factories.administrator() if who == "superuser" else getattr(case, who)
    assert connection.settings_dict["USER"] == "mn_app"
    with pytest.raises(Exception, match="signature refused") as refusal:
        insert_signature(case, signer)
    assert isinstance(refusal.value.__cause__, psycopg.errors.RestrictViolation)
    insert_signature(case, case.officers[0])
    with pytest.raises(Exception, match="one_signature_for_each_person"):
        insert_signature(case, case.officers[0])


def test_the_database_refuses_a_signature_under_a_closed_request() -> None:
    case = factories.waiting_case()
    case.sign(case.officers[0])
    with pytest.raises(Exception, match="is not open"):
        insert_signature(case, case.officers[1])


def test_a_signature_keeps_the_moment_it_was_given_at() -> None:
    case = factories.waiting_case()
    at = timezone.now() + timedelta(hours=1)
    signature = case.sign(case.officers[0], at=at)
    case.decision.refresh_from_db()
    assert (signature.signed_at, case.decision.decided_at, case.request.closed_at) == (at, at, at)
    assert case.decision.expires_at == at + timedelta(days=30)
    assert case.decision.state == DecisionState.PASSED
    assert case.request.state == ApprovalState.APPROVED
