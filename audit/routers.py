"""Which database role reads what."""

from typing import Any


class LedgerRouter:
    """Reads of the ledger go through the auditor role: the app role may only execute the append function."""

    def db_for_read(self, model: Any, **_hints: Any) -> str | None:  # noqa: ANN401 - Django passes a model class
        """Give the auditor's connection for the ledger's tables."""
        return "auditor" if model._meta.app_label == "audit" and not model._meta.managed else None  # noqa: SLF001

    def allow_migrate(self, db: str, _app_label: str, **_hints: Any) -> bool | None:  # noqa: ANN401 - Django's signature
        """Migrate only the default database; the auditor sees the same one."""
        return False if db == "auditor" else None
