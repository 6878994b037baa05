"""The admin: pages that show what is governed, and the forms that people sign with their password."""

from django.contrib import admin
from django.contrib.auth.models import Group

from governance.admin import (
    attachments,
    authenticators,
    decisions,
    environments,
    evidence,
    evidence_types,
    exceptions,
    findings,
    grants,
    inventory,
    jobs,
    ledger,
    model_versions,
    passkeys,
    people,
    periods,
    policies,
    predictions,
    privacy,
    producers,
    reviews,
    tier_templates,
    tiers,
    units,
)

__all__ = [
    "attachments",
    "authenticators",
    "decisions",
    "environments",
    "evidence",
    "evidence_types",
    "exceptions",
    "findings",
    "grants",
    "inventory",
    "jobs",
    "ledger",
    "model_versions",
    "passkeys",
    "people",
    "periods",
    "policies",
    "predictions",
    "privacy",
    "producers",
    "reviews",
    "tier_templates",
    "tiers",
    "units",
]

admin.site.unregister(Group)
admin.site.index_template = "governance/admin/dashboard.html"
