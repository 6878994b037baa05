from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """What is governed: people, systems, models, data, evidence, policies, decisions."""

    name = "governance"
    verbose_name = "Governance"
