"""The admin: pages that show what is governed, and the one form with which a decision is signed."""

from django.contrib import admin
from django.contrib.auth.models import Group

from governance.admin import decisions, evidence, inventory, jobs, ledger, model_versions, people, policies

__all__ = ["decisions", "evidence", "inventory", "jobs", "ledger", "model_versions", "people", "policies"]

admin.site.unregister(Group)
admin.site.index_template = "governance/admin/dashboard.html"
