"""The admin's frame: menu, style, label of the instance. It is here because the menu leads into every app."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from governance.admin.base import may_look
from governance.admin.privacy import may_look_at_orders

# Lists that open on what waits, with the number of it beside them.
_WAITING = {
    "governance_approvalrequest": ("open", "governance.admin.dashboard.waiting_count"),
    "audit_erasure": ("requested", "governance.admin.privacy.erasures_waiting"),
}
_ORDERS = "Privacy"
_CATALOGUE = "control_catalogue"
_MENU: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Decide": (
        ("Approval inbox", "governance_approvalrequest", "approval"),
        ("Decisions", "governance_decision", "gavel"),
        ("Signatures", "governance_signature", "ink_pen"),
        ("Findings", "governance_finding", "report"),
        ("Attestations", "governance_attestationperiod", "task_alt"),
        ("Exceptions", "governance_policyexception", "rule_settings"),
        ("Overrides", "governance_override", "emergency_home"),
        ("Policies", "governance_policyversion", "policy"),
        ("Policy drafts", "governance_policydraft", "edit_document"),
        ("Policies in force", "governance_policyattachment", "assignment_turned_in"),
        ("Proposals for policies", "governance_attachmentproposal", "approval_delegation"),
        ("Risk tiers", "governance_tierassessment", "stacks"),
        ("Tier templates", "governance_tiertemplateversion", "checklist"),
        ("Tier template drafts", "governance_tiertemplatedraft", "edit_note"),
    ),
    "Inventory": (
        ("AI systems", "governance_aisystem", "account_tree"),
        ("Models", "governance_model", "deployed_code"),
        ("Model versions", "governance_modelversion", "commit"),
        ("Data sets", "governance_dataset", "table"),
        ("Data set versions", "governance_datasetversion", "table_view"),
        ("Training runs", "governance_run", "play_circle"),
        ("Lineage", "governance_lineageedge", "conversion_path"),
        ("Aliases", "governance_aliasbinding", "label"),
        ("Deployments", "governance_deployment", "rocket_launch"),
        ("What runs", "governance_environmentsnapshot", "radar"),
        ("Predictions", "governance_predictionrecord", "online_prediction"),
        ("Discrepancies", "governance_discrepancy", "difference"),
    ),
    "Evidence": (
        ("Evidence", "governance_evidence", "fact_check"),
        ("Own types of evidence", "governance_evidencetypeversion", "category"),
        ("Drafts of types", "governance_evidencetypedraft", "edit_note"),
        ("Keys of producers", "governance_producerkey", "key_vertical"),
        ("Control catalogue", _CATALOGUE, "rule"),
        ("Reports and bundles", "reports_document", "description"),
        ("Jobs", "governance_job", "pending_actions"),
    ),
    _ORDERS: (
        ("Erasures", "audit_erasure", "person_off"),
        ("Legal holds", "audit_legalhold", "lock"),
    ),
    "Ledger": (
        ("Entries", "audit_entry", "receipt_long"),
        ("Checkpoints", "audit_checkpoint", "verified"),
    ),
    "Accounts": (
        ("People and services", "governance_user", "group"),
        ("Business units", "governance_businessunit", "domain"),
        ("Roles", "governance_rolegrant", "badge"),
        ("Proposals for roles", "governance_roleproposal", "person_add"),
        ("Access reviews", "governance_accessreview", "fact_check"),
        ("Authenticator apps", "governance_authenticator", "phonelink_lock"),
        ("Passkeys", "governance_passkey", "passkey"),
        ("Tokens", "governance_apitoken", "key"),
    ),
}


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """Give the menu to who may read governed pages, and nothing to anyone else."""
    if not may_look(request):
        return []
    home = {"title": "What waits for you", "icon": "home", "link": reverse("admin:index")}
    groups = [
        {"title": title, "separator": True, "items": [_item(*entry) for entry in entries]}
        for title, entries in _MENU.items()
        if title != _ORDERS or may_look_at_orders(request)
    ]
    return [{"items": [home]}, *groups]


def _item(title: str, model: str, symbol: str) -> dict[str, Any]:
    address = reverse(model if model == _CATALOGUE else f"admin:{model}_changelist")
    if model not in _WAITING:
        return {"title": title, "icon": symbol, "link": address}
    state, count = _WAITING[model]
    return {"title": title, "icon": symbol, "link": f"{address}?state__exact={state}", "badge": count}


def environment(request: HttpRequest) -> list[str]:  # noqa: ARG001 - the theme's signature
    """Name the instance at the top of each page, so that nobody signs on the wrong one."""
    return [settings.NOTARY_INSTANCE, "info"]


def stylesheet(request: HttpRequest) -> str:  # noqa: ARG001
    """Give the address of the style of our own pages."""
    return static("governance/admin.css")


def favicon(request: HttpRequest) -> str:  # noqa: ARG001
    """Give the address of the browser's symbol for these pages."""
    return static("governance/favicon.svg")


def script(request: HttpRequest) -> str:  # noqa: ARG001
    """Give the address of the script of our own pages."""
    return static("governance/admin.js")
