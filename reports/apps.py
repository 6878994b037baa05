from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Signed reports and evidence bundles."""

    name = "reports"
