"""What is in use."""

from datetime import datetime

from django.db.models import QuerySet

from governance.models import Deployment


def deployments_in_use(*, at: datetime) -> QuerySet[Deployment]:
    """Give what was deployed last in each environment of each model and not taken out of use since, as of a moment."""
    newest = (
        Deployment.objects.filter(deployed_at__lte=at)
        .order_by("model_version__model_id", "environment", "-deployed_at", "-id")
        .distinct("model_version__model_id", "environment")
        .values("pk")
    )
    in_use = Deployment.objects.filter(pk__in=newest).exclude(retirement__retired_at__lte=at)
    return in_use.select_related("model_version__model").order_by("environment", "id")
