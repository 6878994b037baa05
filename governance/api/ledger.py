"""Proofs, checkpoints, and accesses made in other systems."""

import base64
from typing import ClassVar

from django.http import HttpResponse
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers
from drf_spectacular.types import OpenApiTypes
from rest_framework import status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from audit.enums import AccessEvent
from audit.selectors import checkpoint_latest, consistency_proof, entry_proof, log_list, tile_read
from governance.api import serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.enums import Scope
from governance.services.accesses import ForeignAccess, accesses_import
from modelnotary.ledger.tiles import Tile

_CHECKPOINT_SECONDS = 1
_TILE_SECONDS = 365 * 24 * 3600


class EntryProofView(GovernedView):
    """The proof of one event."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}

    @operation(
        "entry_proof",
        "Prove that an event is in the signed log",
        gives={200: s.EntryProofOutput},
        problems=(404, 409, 410),
    )
    def get(self, request: Request, event_id: str) -> Response:  # noqa: ARG002
        """Give the entry's bytes and its inclusion proof."""
        self.sight.require_whole()
        proof = entry_proof(event_id=event_id)
        return Response(
            {
                "log": proof.log,
                "origin": proof.origin,
                "index": proof.index,
                "leaf": base64.b64encode(proof.leaf).decode(),
                "proof": proof.proof,
            }
        )


class NoteRenderer(JSONRenderer):
    """Lets a caller ask for the bare note; what is wrong is told in JSON all the same."""

    media_type = "text/plain"


class TileRenderer(JSONRenderer):
    """Lets a caller ask for bytes; what is wrong is told in JSON all the same."""

    media_type = "application/octet-stream"


class LogsView(GovernedView):
    """The logs of this installation."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}

    @operation("log_list", "List the logs, which of them are active, and which they follow", gives={200: s.LogsOutput})
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """Give all of them, oldest first."""
        return Response(s.LogsOutput({"logs": log_list()}).data)


class CheckpointView(GovernedView):
    """The newest signed tree head."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}
    renderer_classes = (JSONRenderer, NoteRenderer)

    @operation(
        "checkpoint_latest",
        "Read a log's newest signed checkpoint; as text/plain it is the bare note",
        gives={(200, "application/json"): s.CheckpointOutput, (200, "text/plain"): OpenApiTypes.STR},
        problems=(404,),
    )
    def get(self, request: Request, log: str) -> HttpResponse:
        """Give the signed note."""
        checkpoint = checkpoint_latest(log=log)
        answer: HttpResponse = Response(s.CheckpointOutput(checkpoint).data)
        if isinstance(request.accepted_renderer, NoteRenderer):
            answer = HttpResponse(checkpoint.note, content_type="text/plain; charset=utf-8")
        return _kept(answer, _CHECKPOINT_SECONDS)


class TileView(GovernedView):
    """A log as static files (C2SP tlog-tiles), as far as a signed checkpoint covers it."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}
    renderer_classes = (JSONRenderer, TileRenderer)

    @operation(
        "tile_read",
        "Read entries or hashes of a log as a static file, such as tile/0/000 or tile/entries/x001/234.p/12",
        gives={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        problems=(404, 410),
    )
    def get(self, request: Request, log: str, tile: str) -> HttpResponse:  # noqa: ARG002
        """Give the file, which never changes. That entries were read goes into the access log."""
        wanted = Tile.from_path(tile)
        if wanted.level is None:
            self.sight.require_whole()
        content = tile_read(log=log, tile=wanted)
        if wanted.level is None:
            self.viewed("log_entries", f"{log}/{wanted.path}")
        answer = HttpResponse(content, content_type="application/octet-stream")
        return _kept(answer, _TILE_SECONDS, immutable=True)


class ConsistencyView(GovernedView):
    """That a log only grew."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}

    @operation(
        "consistency_proof",
        "Prove that a log's tree begins with an older one",
        query=s.ConsistencyQuestion,
        gives={200: s.ConsistencyOutput},
        problems=(400, 404, 410, 422),
    )
    def get(self, request: Request, log: str) -> Response:
        """Give the path of RFC 6962 §2.1.2."""
        path = consistency_proof(log=log, **parsed(s.ConsistencyQuestion, request))
        return Response({"path": [base64.b64encode(value).decode() for value in path]})


def _kept(answer: HttpResponse, seconds: int, **more: bool) -> HttpResponse:
    """Let the caller alone keep an answer: it was given for a token."""
    patch_cache_control(answer, private=True, max_age=seconds, **more)
    patch_vary_headers(answer, ("Authorization",))
    return answer


class AccessRecordsView(GovernedView):
    """Accesses made in other systems."""

    scopes: ClassVar = {"POST": Scope.ACCESS_WRITE}

    @operation(
        "accesses_import",
        "Record accesses made in another system, all or none",
        takes=s.AccessBatchInput,
        gives={201: s.AccessBatchOutput},
        problems=(400,),
    )
    def post(self, request: Request) -> Response:
        """Write each to the access log."""
        body = parsed(s.AccessBatchInput, request)
        accesses = [ForeignAccess(**(item | {"event": AccessEvent(item["event"])})) for item in body["accesses"]]
        events = accesses_import(
            reporter=self.caller(), model_digest=body["model"], accesses=accesses, at=timezone.now()
        )
        return Response({"events": events}, status=status.HTTP_201_CREATED)
