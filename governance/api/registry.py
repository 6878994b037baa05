"""Systems, models, data, runs and lineage."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import registry_serializers as s
from governance.api.base import GovernedView, found, operation, parsed
from governance.api.errors import LengthRequired, PayloadTooLarge
from governance.enums import Deidentification, LineageKind, LineageRole, Methodology, PhiType, Provenance, Scope, Trust
from governance.models import AiSystem, Dataset, DatasetVersion, Model, Run, User
from governance.selectors.affected import affected_by
from governance.selectors.lineage import LineageWalk, lineage_kind, lineage_walk
from governance.selectors.scope import Sight
from governance.services import inventory
from governance.services.descriptions import Particulars, model_describe
from governance.services.lineage import lineage_record
from governance.services.stated import Handling, Origin
from modelnotary.ledger.digest import Digest
from modelnotary.ledger.errors import DigestError

_CHUNK = 1024 * 1024


class ArtifactView(GovernedView):
    """The bytes of models and tables, under their digest."""

    scopes: ClassVar = {"PUT": Scope.REGISTRY_WRITE}
    parser_classes = ()

    @operation(
        "artifact_store",
        "Upload bytes under the digest that they have",
        takes={"application/octet-stream": OpenApiTypes.BINARY},
        gives={201: s.ArtifactOutput},
        problems=(400, 411, 413, 422),
    )
    def put(self, request: Request, digest: str) -> Response:
        """Stream the body to a file, hash it, and keep it."""
        if not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        try:
            declared = Digest.from_text(digest)
        except DigestError as error:
            raise ValidationError({"digest": [str(error)]}) from error
        with tempfile.NamedTemporaryFile(dir=_upload_folder()) as received:
            while chunk := request._request.read(_CHUNK):  # noqa: SLF001 - DRF would read it all into memory
                received.write(chunk)
                if received.tell() > settings.UPLOAD_LIMIT_BYTES:
                    raise PayloadTooLarge(settings.UPLOAD_LIMIT_BYTES)
            received.flush()
            artifact = inventory.artifact_store(
                actor=self.caller(), file=Path(received.name), declared=declared, at=timezone.now()
            )
        return Response(s.ArtifactOutput(artifact).data, status=status.HTTP_201_CREATED)


def _upload_folder() -> Path:
    folder: Path = settings.NOTARY_HOME / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class SystemsView(GovernedView):
    """AI systems."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "system_register",
        "Register an AI system",
        takes=s.AiSystemInput,
        gives={201: s.AiSystemOutput},
        problems=(400, 409),
    )
    def post(self, request: Request) -> Response:
        """Register a system, or give the one already registered with the same particulars."""
        caller = self.caller()
        system = inventory.system_register(
            actor=caller, owner=caller.owner or caller, at=timezone.now(), **parsed(s.AiSystemInput, request)
        )
        return Response(s.AiSystemOutput(system).data, status=status.HTTP_201_CREATED)


class ModelsView(GovernedView):
    """Models."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "model_register", "Register a model", takes=s.ModelInput, gives={201: s.ModelOutput}, problems=(400, 404, 409)
    )
    def post(self, request: Request) -> Response:
        """Register a model of a system."""
        body = parsed(s.ModelInput, request)
        system = self.found(AiSystem.objects.all(), "AI system", slug=body.pop("system"))
        model = inventory.model_register(actor=self.caller(), system=system, at=timezone.now(), **body)
        return Response(s.ModelOutput(model).data, status=status.HTTP_201_CREATED)


class ModelDescriptionsView(GovernedView):
    """What is said of a model."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation(
        "model_descriptions",
        "Read what was said of a model, newest first",
        gives={200: s.ModelDescriptionOutput(many=True)},
        problems=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002 - DRF passes it
        """Give every version of the description; the reading is logged."""
        model = self.found(Model.objects.all(), "model", slug=slug)
        self.viewed("model", model.id)
        descriptions = model.descriptions.select_related("owner", "developer", "validator", "described_by")
        return Response(s.ModelDescriptionOutput(descriptions, many=True).data)

    @operation(
        "model_describe",
        "Say how a model works, where it comes from and who answers for it",
        takes=s.ModelDescriptionInput,
        gives={201: s.ModelDescriptionOutput},
        problems=(400, 404, 422),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Keep a new version of the description, or give the one that says the same and stands."""
        body = parsed(s.ModelDescriptionInput, request)
        people = {
            name: found(User.objects.all(), "account", username=body[name]) if name in body else None
            for name in ("owner", "developer", "validator")
        }
        particulars = Particulars(
            **body
            | people
            | {"methodology": Methodology(body["methodology"]), "provenance": Provenance(body["provenance"])}
        )
        description = model_describe(
            actor=self.caller(),
            model=self.found(Model.objects.all(), "model", slug=slug),
            particulars=particulars,
            at=timezone.now(),
        )
        return Response(s.ModelDescriptionOutput(description).data, status=status.HTTP_201_CREATED)


class ModelVersionsView(GovernedView):
    """Versions of a model."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "model_version_register",
        "Register uploaded bytes as a model's next version",
        takes=s.ModelVersionInput,
        gives={201: s.ModelVersionOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Register a version; the same bytes twice are one version."""
        model = self.found(Model.objects.all(), "model", slug=slug)
        body = parsed(s.ModelVersionInput, request)
        origin = {name: body.pop(name) for name in Origin.__slots__ if name in body}
        if "run" in origin:
            origin["run"] = self.found(Run.objects.all(), "run", pk=origin["run"])
        version = inventory.model_version_register(
            actor=self.caller(), model=model, at=timezone.now(), origin=Origin(**origin), **body
        )
        return Response(s.ModelVersionOutput(version).data, status=status.HTTP_201_CREATED)


class ModelVersionView(GovernedView):
    """One model version."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation("model_version_get", "Read a model version", gives={200: s.ModelVersionOutput}, problems=(404, 422))
    def get(self, request: Request, digest: str) -> Response:  # noqa: ARG002 - DRF passes it
        """Give the version of these bytes; the reading is logged."""
        version = self.model_version(Digest.from_text(digest))
        self.viewed("model_version", version.id, version.digest)
        return Response(s.ModelVersionOutput(version).data)


class DatasetsView(GovernedView):
    """Data sets."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "dataset_register",
        "Register a data set",
        takes=s.DatasetInput,
        gives={201: s.DatasetOutput},
        problems=(400, 409),
    )
    def post(self, request: Request) -> Response:
        """Register a data set, or give the one already registered with the same particulars."""
        dataset = inventory.dataset_register(actor=self.caller(), at=timezone.now(), **parsed(s.DatasetInput, request))
        return Response(s.DatasetOutput(dataset).data, status=status.HTTP_201_CREATED)


class DatasetVersionsView(GovernedView):
    """Versions of a data set."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "dataset_version_register",
        "Register uploaded bytes as a data set's next version",
        takes=s.DatasetVersionInput,
        gives={201: s.DatasetVersionOutput},
        problems=(400, 404, 409, 422),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Register a version; the same bytes twice are one version."""
        dataset = self.found(Dataset.objects.all(), "data set", slug=slug)
        body = parsed(s.DatasetVersionInput, request)
        stated = {name: body.pop(name) for name in Handling.__slots__ if name in body}
        if "phi_types" in stated:
            stated["phi_types"] = [PhiType(item) for item in stated["phi_types"]]
        if "deidentification" in stated:
            stated["deidentification"] = Deidentification(stated["deidentification"])
        version = inventory.dataset_version_register(
            actor=self.caller(), dataset=dataset, at=timezone.now(), handling=Handling(**stated), **body
        )
        return Response(s.DatasetVersionOutput(version).data, status=status.HTTP_201_CREATED)


class RunsView(GovernedView):
    """Training runs."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation("run_record", "Record a training run", takes=s.RunInput, gives={201: s.RunOutput}, problems=(400, 422))
    def post(self, request: Request) -> Response:
        """Record a run as its author reports it."""
        run = inventory.run_record(actor=self.caller(), at=timezone.now(), **parsed(s.RunInput, request))
        return Response(s.RunOutput(run).data, status=status.HTTP_201_CREATED)


class LineageView(GovernedView):
    """Lineage steps."""

    scopes: ClassVar = {"POST": Scope.REGISTRY_WRITE}

    @operation(
        "lineage_record",
        "Record one step of lineage",
        takes=s.LineageInput,
        gives={201: s.LineageOutput},
        problems=(400, 404, 409),
    )
    def post(self, request: Request) -> Response:
        """Record what came of what."""
        body = parsed(s.LineageInput, request)
        ends = [(LineageKind(body[end]["kind"]), body[end]["id"]) for end in ("source", "target")]
        for _, identity in ends:
            lineage_kind(identity, seen_by=self.sight)
        edge = lineage_record(
            actor=self.caller(),
            source=ends[0],
            target=ends[1],
            role=LineageRole(body["role"]),
            trust=Trust.SELF_REPORTED,
            at=timezone.now(),
        )
        return Response(s.LineageOutput(edge).data, status=status.HTTP_201_CREATED)


class ModelVersionLineageView(GovernedView):
    """Where a model version came from, and what came of it."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "model_version_lineage",
        "Read the lineage of a model version",
        query=s.LineageQuestion,
        gives={200: s.LineageWalkOutput},
        problems=(400, 404, 422),
    )
    def get(self, request: Request, digest: str) -> Response:
        """Give a page of the steps, nearest first; the reading is logged."""
        version = self.model_version(Digest.from_text(digest))
        question = parsed(s.LineageQuestion, request)
        self.viewed("model_version", version.id, version.digest)
        return Response(s.LineageWalkOutput(_walk(version.id, question, self.sight)).data)


class LineageOfView(GovernedView):
    """Where a thing came from, and what came of it."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "lineage_walk",
        "Read the lineage of a data set version, run, model version, deployment or decision, by its id",
        query=s.LineageQuestion,
        gives={200: s.LineageWalkOutput},
        problems=(400, 404, 422),
    )
    def get(self, request: Request, thing: str) -> Response:
        """Give a page of the steps, nearest first; the reading is logged."""
        kind = lineage_kind(thing, seen_by=self.sight)
        question = parsed(s.LineageQuestion, request)
        self.viewed(kind.value, thing)
        return Response(s.LineageWalkOutput(_walk(thing, question, self.sight)).data)


class DatasetVersionAffectedView(GovernedView):
    """What rests on a version of a data set."""

    scopes: ClassVar = {"GET": Scope.REGISTRY_READ}

    @operation(
        "dataset_version_affected",
        "Read what is affected if a version of a data set is bad",
        gives={200: s.AffectedOutput},
        problems=(404, 422),
    )
    def get(self, request: Request, digest: str) -> Response:  # noqa: ARG002 - DRF passes it
        """Give model versions, deployments in use, decisions that stand, systems and owners; the reading is logged."""
        version = self.found(
            DatasetVersion.objects.select_related("dataset"),
            "data set version",
            artifact=Digest.from_text(digest).text,
        )
        self.viewed("dataset_version", version.id, version.digest)
        return Response(affected_by(version=version, at=timezone.now(), seen_by=self.sight).to_json())


def _walk(start: str, question: dict[str, Any], sight: Sight) -> LineageWalk:
    upwards = question.pop("direction") == "up"
    return lineage_walk(start=start, upwards=upwards, seen_by=sight, **question)
