"""Addresses."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config import health, problems
from governance.admin.controls import catalogue_view, control_view

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/controls/", admin.site.admin_view(catalogue_view), name="control_catalogue"),
    path("admin/controls/<str:control_id>/", admin.site.admin_view(control_view), name="control"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("governance.api.urls")),
    path("api/v1/", include("explain.api.urls")),
    path("api/v1/", include("reports.api.urls")),
    path("openapi.json", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path(".well-known/modelnotary-trust.json", health.trust),
    path("problems/<slug:code>", problems.problem_page),
]

handler400 = "config.api.bad_request"
handler404 = "config.api.not_found"
handler500 = "config.api.server_error"
