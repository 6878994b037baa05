from django.apps import AppConfig


class ExplainConfig(AppConfig):
    """Explanations and bias assessments, as evidence about model versions."""

    name = "explain"
