"""What a pipeline reports of itself is told apart from what the product measured, and a test cannot be bent."""

from typing import Any

import factories
import pytest
from django.utils import timezone

from explain.services import assessment_request
from governance.enums import DecisionState, EvidenceType, JobType, Role
from governance.errors import RejectedInputError
from governance.models import DatasetVersion, Job, ModelVersion, User
from governance.services import inventory
from governance.services.decisions import decision_evaluate
from modelnotary.ledger.digest import Digest

pytestmark = pytest.mark.usefixtures("database", "keys")


def bias_rule() -> dict[str, Any]:
    return {
        "id": "FAIR-001",
        "title": "Rates by group",
        "evidence": "bias",
        "clause": "bias.measured && bias.demographic_parity_ratio >= 0.8",
        "observed": "bias.demographic_parity_ratio",
        "expected": ">= 0.8, measured",
        "remediation": "Assess.",
    }


@pytest.mark.parametrize(
    ("measured", "state"),
    [
        (True, DecisionState.PENDING),
        (False, DecisionState.FAILED),
    ],
)
def test_a_policy_can_insist_on_what_the_product_measured(measured: bool, state: DecisionState) -> None:
    engineer, publisher = factories.person(Role.ENGINEER), factories.person(Role.COMPLIANCE)
    version, environment = factories.model_version(engineer), factories.unique("env")
    factories.policy(publisher, environment, rules=[bias_rule()])
    payload = {"demographic_parity_ratio": 0.95, "rows": 900, "verdict": "pass"}
    factories.deposited(engineer, version, EvidenceType.BIAS, payload, measured=measured)
    decision = decision_evaluate(
        actor=engineer, digest=Digest.from_text(version.digest), environment=environment, at=timezone.now()
    )
    assert decision.state == state


def requested(engineer: User, version: ModelVersion, dataset: DatasetVersion, **parameters: Any) -> Job:
    return assessment_request(
        actor=engineer,
        kind=JobType.BIAS,
        version=version,
        dataset=dataset,
        parameters={"label": "deny", "favourable": "no", "sensitive": ["black"]} | parameters,
        at=timezone.now(),
    )


def test_a_model_is_assessed_at_the_threshold_it_was_registered_with() -> None:
    engineer = factories.person(Role.ENGINEER)
    version = factories.model_version(engineer, parameters={"threshold": 0.2, "encoding": {}})
    now = timezone.now()
    data = inventory.dataset_register(
        actor=engineer,
        slug=factories.unique("data"),
        name="d",
        description="d",
        classification="c",
        contains_phi=False,
        at=now,
    )
    dataset = inventory.dataset_version_register(
        actor=engineer,
        dataset=data,
        digest=factories.stored(factories.unique("a,b\n1,").encode(), engineer),
        row_count=1,
        columns=["a", "b"],
        at=now,
    )
    assert requested(engineer, version, dataset).parameters["parameters"]["threshold"] == 0.2
    assert requested(engineer, version, dataset, threshold=0.2).parameters["parameters"]["threshold"] == 0.2
    before = Job.objects.count()
    with pytest.raises(RejectedInputError, match="/parameters/threshold"):
        requested(engineer, version, dataset, threshold=0.5)
    assert Job.objects.count() == before
