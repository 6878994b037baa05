"""Addresses under /api/v1."""

from django.urls import path

import governance.api.paths  # noqa: F401 - makes <name:...> and <tile:...> known
from governance.api import authenticators, controls, endings, evidence, gate, jobs, ledger, registry

urlpatterns = [
    path("whoami", jobs.WhoamiView.as_view()),
    path("artifacts/<name:digest>", registry.ArtifactView.as_view()),
    path("systems", registry.SystemsView.as_view()),
    path("systems/<name:system>/declarations", controls.DeclarationsView.as_view()),
    path("systems/<name:system>/controls", controls.SystemControlsView.as_view()),
    path("controls", controls.ControlsView.as_view()),
    path("models", registry.ModelsView.as_view()),
    path("models/<name:slug>/descriptions", registry.ModelDescriptionsView.as_view()),
    path("models/<name:slug>/versions", registry.ModelVersionsView.as_view()),
    path("model-versions/<name:digest>", registry.ModelVersionView.as_view()),
    path("model-versions/<name:digest>/lineage", registry.ModelVersionLineageView.as_view()),
    path("datasets", registry.DatasetsView.as_view()),
    path("datasets/<name:slug>/versions", registry.DatasetVersionsView.as_view()),
    path("runs", registry.RunsView.as_view()),
    path("lineage", registry.LineageView.as_view()),
    path("evidence-types", evidence.EvidenceTypesView.as_view()),
    path("evidence-types/<name:name>", evidence.EvidenceTypeView.as_view()),
    path("evidence", evidence.EvidencesView.as_view()),
    path("evidence/<name:evidence_id>", evidence.EvidenceView.as_view()),
    path("policies", gate.PoliciesView.as_view()),
    path("decisions", gate.DecisionsView.as_view()),
    path("decisions/<name:decision_id>", gate.DecisionView.as_view()),
    path("decisions/<name:decision_id>/attestation", gate.AttestationView.as_view()),
    path("decisions/<name:decision_id>/revocations", endings.RevocationsView.as_view()),
    path("revocations/<name:proposal_id>/confirmation", endings.RevocationConfirmationView.as_view()),
    path("asserts", gate.AssertsView.as_view()),
    path("approval-requests/<name:request_id>", gate.ApprovalRequestView.as_view()),
    path("approval-requests/<name:request_id>/votes", gate.VotesView.as_view()),
    path("authenticators", authenticators.AuthenticatorsView.as_view()),
    path("authenticators/<name:authenticator_id>/confirmation", authenticators.AuthenticatorConfirmationView.as_view()),
    path("deployments", gate.DeploymentsView.as_view()),
    path("jobs/<name:job_id>", jobs.JobView.as_view()),
    path("access-records", ledger.AccessRecordsView.as_view()),
    path("audit-events/<name:event_id>/proof", ledger.EntryProofView.as_view()),
    path("logs", ledger.LogsView.as_view()),
    path("logs/<name:log>/checkpoint", ledger.CheckpointView.as_view()),
    path("logs/<name:log>/<tile:tile>", ledger.TileView.as_view()),
    path("logs/<name:log>/consistency", ledger.ConsistencyView.as_view()),
]
