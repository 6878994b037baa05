"""What runs where: aliases, deployments taken out of use, and what agents saw."""

from typing import ClassVar

from django.db.models import Q
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import environment_serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.enums import Scope
from governance.models import Deployment, EnvironmentSnapshot, Model
from governance.services.aliases import alias_bind, alias_release
from governance.services.deployments import deployment_retire
from governance.services.snapshots import Running, snapshot_deposit


class AliasesView(GovernedView):
    """The aliases of a model."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation(
        "alias_list",
        "Read which versions the aliases of a model name, or named at a moment",
        query=s.AliasQuestion,
        gives={200: s.AliasBindingOutput(many=True)},
        problems=(400, 404),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Give the bindings in force at the moment, or all that ever were; the reading is logged."""
        model = self.found(Model.objects.all(), "model", slug=slug)
        question = parsed(s.AliasQuestion, request)
        bindings = model.alias_bindings.select_related("model_version__model", "bound_by")
        if not question["history"]:
            at = question.get("as_of") or timezone.now()
            bindings = bindings.filter(Q(bound_to=None) | Q(bound_to__gt=at), bound_from__lte=at)
        self.viewed("model", model.id)
        return Response(s.AliasBindingOutput(bindings, many=True).data)

    @operation(
        "alias_bind",
        "Let an alias name a version from now on",
        takes=s.AliasInput,
        gives={201: s.AliasBindingOutput},
        problems=(400, 404, 409),
    )
    def post(self, request: Request, slug: str) -> Response:
        """End what the alias named before, which stays, and bind it anew."""
        body = parsed(s.AliasInput, request)
        version = self.model_version(body["digest"])
        self.found(Model.objects.filter(pk=version.model_id), "version of this digest in the model", slug=slug)
        binding = alias_bind(
            actor=self.caller(), version=version, alias=body["alias"], observed_via="api", at=timezone.now()
        )
        return Response(s.AliasBindingOutput(binding).data, status=status.HTTP_201_CREATED)


class AliasView(GovernedView):
    """One alias."""

    scopes: ClassVar = {"DELETE": Scope.REGISTRY_WRITE}

    @operation(
        "alias_release",
        "Let an alias name nothing from now on",
        gives={200: s.AliasBindingOutput},
        problems=(404, 409),
    )
    def delete(self, request: Request, slug: str, alias: str) -> Response:  # noqa: ARG002 - DRF passes it
        """End the binding. It is not deleted: what the alias named, and when, stays."""
        model = self.found(Model.objects.all(), "model", slug=slug)
        binding = alias_release(actor=self.caller(), model_id=model.id, alias=alias, at=timezone.now())
        return Response(s.AliasBindingOutput(binding).data)


class RetirementsView(GovernedView):
    """Taking a deployment out of use."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "deployment_retire",
        "Record that a deployment was taken out of use",
        takes=s.RetirementInput,
        gives={201: s.RetirementOutput},
        problems=(400, 404, 409),
    )
    def post(self, request: Request, deployment_id: str) -> Response:
        """Record it, once."""
        body = parsed(s.RetirementInput, request)
        deployment = self.found(Deployment.objects.all(), "deployment", pk=deployment_id)
        retirement = deployment_retire(
            actor=self.caller(), deployment=deployment, reason=body["reason"], at=timezone.now()
        )
        return Response(s.RetirementOutput(retirement).data, status=status.HTTP_201_CREATED)


class SnapshotsView(GovernedView):
    """What agents saw running in an environment."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "POST": Scope.ENVIRONMENT_REPORT}

    @operation(
        "environment_snapshot_latest",
        "Read what was seen last in an environment, and what does not agree",
        gives={200: s.SnapshotOutput},
        problems=(404,),
    )
    def get(self, request: Request, environment: str) -> Response:  # noqa: ARG002 - DRF passes it
        """Give the newest snapshot; the reading is logged."""
        snapshot = self.found(EnvironmentSnapshot.objects.all(), "snapshot of environment", environment=environment)
        self.viewed("environment_snapshot", snapshot.id, snapshot.digest)
        return Response(s.SnapshotOutput(snapshot).data)

    @operation(
        "environment_snapshot_deposit",
        "Deposit the whole list of what runs in an environment",
        takes=s.SnapshotInput,
        gives={201: s.SnapshotOutput},
        problems=(400, 422),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Keep the list and say what does not agree with deployments and decisions."""
        body = parsed(s.SnapshotInput, request)
        snapshot = snapshot_deposit(
            agent=self.caller(),
            environment=environment,
            running=[Running(**item) for item in body["running"]],
            taken_at=body["taken_at"],
            at=timezone.now(),
        )
        return Response(s.SnapshotOutput(snapshot).data, status=status.HTTP_201_CREATED)
