"""Proofs, checkpoints, and accesses made in other systems."""

import base64
from typing import ClassVar

from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from audit.enums import AccessEvent
from audit.selectors import checkpoint_latest, consistency_proof, entry_proof
from governance.api import serializers as s
from governance.api.base import GovernedView, operation, parsed
from governance.enums import Scope
from governance.services.accesses import ForeignAccess, accesses_import


class EntryProofView(GovernedView):
    """The proof of one event."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}

    @operation(
        "entry_proof", "Prove that an event is in the signed log", gives={200: s.EntryProofOutput}, problems=(404, 409)
    )
    def get(self, request: Request, event_id: str) -> Response:  # noqa: ARG002
        """Give the entry's bytes and its inclusion proof."""
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


class CheckpointView(GovernedView):
    """The newest signed tree head."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}

    @operation(
        "checkpoint_latest", "Read a log's newest signed checkpoint", gives={200: s.CheckpointOutput}, problems=(404,)
    )
    def get(self, request: Request, log: str) -> Response:  # noqa: ARG002
        """Give the signed note."""
        return Response(s.CheckpointOutput(checkpoint_latest(log=log)).data)


class ConsistencyView(GovernedView):
    """That a log only grew."""

    scopes: ClassVar = {"GET": Scope.AUDIT_READ}

    @operation(
        "consistency_proof",
        "Prove that a log's tree begins with an older one",
        query=s.ConsistencyQuestion,
        gives={200: s.ConsistencyOutput},
        problems=(400, 404, 422),
    )
    def get(self, request: Request, log: str) -> Response:
        """Give the path of RFC 6962 §2.1.2."""
        path = consistency_proof(log=log, **parsed(s.ConsistencyQuestion, request))
        return Response({"path": [base64.b64encode(value).decode() for value in path]})


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
