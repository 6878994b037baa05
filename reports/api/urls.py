"""Addresses of documents."""

from django.urls import path

import governance.api.paths  # noqa: F401 - makes <name:...> known
from reports.api import views

urlpatterns = [
    path("documents", views.DocumentsView.as_view()),
    path("documents/<name:document_id>", views.DocumentView.as_view()),
    path("documents/<name:document_id>/content", views.DocumentContentView.as_view()),
]
