"""What is in use."""

from datetime import datetime

from django.db.models import QuerySet

from governance.models import Deployment


def deployments_in_use(*, at: datetime) -> QuerySet[Deployment]:
    """Give what was deployed last in each environment of each model, as of a moment."""
    newest = (
        Deployment.objects.filter(deployed_at__lte=at)
        .order_by("model_version__model_id", "environment", "-deployed_at", "-id")
        .distinct("model_version__model_id", "environment")
        .values("pk")
    )
    return Deployment.objects.filter(pk__in=newest).select_related("model_version__model").order_by("environment", "id")
