from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The ledger and the access log: the bottom of the server."""

    name = "audit"
    verbose_name = "Ledger"
