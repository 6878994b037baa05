"""Addresses of documents."""

from django.urls import path

from reports.api import views

urlpatterns = [
    path("documents", views.DocumentsView.as_view()),
    path("documents/<str:document_id>", views.DocumentView.as_view()),
    path("documents/<str:document_id>/content", views.DocumentContentView.as_view()),
]
