"""Addresses of assessments."""

from django.urls import path

from explain.api import views

urlpatterns = [path("assessments", views.AssessmentsView.as_view())]
