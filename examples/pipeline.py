"""The steps that every pipeline takes, whatever the model: register, assess, decide, fetch."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.training import TrainedModel
from modelnotary.client.api import NotaryClient

if TYPE_CHECKING:
    from examples.demo import Demo


@dataclass(frozen=True)
class Registered:
    """A model version as the server knows it, with the data it was tested on."""

    id: str
    digest: str
    number: int
    holdout_digest: str


def policy_publish(demo: "Demo", house: str, author: str, publisher: str) -> dict[str, Any]:
    """Have one person draft a house's policy and propose it, and another one publish and confirm it.

    What is in force from an earlier run stays.
    """
    path = Path(__file__).parent / "policies" / f"{house}-production.yaml"
    passwords = {person: {"password": demo.secrets["passwords"][person]} for person in (author, publisher)}
    with demo.client(f"{house}-policy-author") as first, demo.client(f"{house}-policy-publisher") as second:
        draft = first.post("policies", {"document": path.read_text(encoding="utf-8")})
        demo.say(f"  policy {draft['policy']} drafted by {draft['drafted_by']}: {draft['digest']}")
        version: dict[str, Any] = second.post(f"policy-drafts/{draft['id']}/publication", passwords[publisher])
        demo.say(f"  published by {version['published_by']} as version {version['number']}")
        place = {"policy": version["policy"], "environment": f"{house}-production"}
        in_force = second.get("policy-attachments")
        if not any(place.items() <= attachment.items() for attachment in in_force):
            asked = {"kind": "attach", "reason": "The demonstration needs rules for its production environment."}
            proposal = first.post("policy-attachment-proposals", place | asked | passwords[author])
            second.post(f"policy-attachment-proposals/{proposal['id']}/confirmation", passwords[publisher])
        demo.say(f"  in force in {place['environment']}, by the same two people")
    return version


def tier_publish(demo: "Demo", house: str, publisher: str, system: str) -> dict[str, Any]:
    """Have one person draft a tier template and assess a system under it, and another one publish both."""
    path = Path(__file__).parent / "tiers" / "model-risk-tier.yaml"
    text = path.read_text(encoding="utf-8").replace("template: model-risk-tier", f"template: {house}-risk-tier", 1)
    password = {"password": demo.secrets["passwords"][publisher]}
    with demo.client(f"{house}-policy-author") as first, demo.client(f"{house}-policy-publisher") as second:
        draft = first.post("tier-templates", {"document": text})
        second.post(f"tier-template-drafts/{draft['id']}/publication", password)
        drafted = first.post(f"systems/{system}/tier-assessments", {"template": draft["template"]})
        assessment: dict[str, Any] = second.post(f"tier-assessments/{drafted['id']}/publication", password)
    working = assessment["working"]
    unknown = [
        component["field"]
        for factor in working["factors"]
        for component in factor["components"]
        if component["value"] is None
    ]
    demo.say(
        f"  risk tier: {assessment['final']}, {working['total']} points, published by {assessment['published_by']}"
    )
    demo.say(f"    not known, and so counted as the worst: {', '.join(unknown)}")
    return {name: assessment[name] for name in ("final", "snapshot_digest", "working_digest")}


def dataset_register(client: NotaryClient, path: Path, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Upload a table and register it as a version of a data set."""
    digest = client.upload(path)
    client.post("datasets", dict(dataset))
    version: dict[str, Any] = client.post(f"datasets/{dataset['slug']}/versions", {"digest": digest.text})
    return version


def version_register(
    client: NotaryClient, model: str, trained: TrainedModel, data: Mapping[str, Any], started: datetime
) -> Registered:
    """Upload a trained model and register the run, the version, and what came of what.

    Args:
        client: With the pipeline's token.
        model: Slug of the model.
        trained: What was trained.
        data: Particulars of the data set; the training and test rows become data sets of their own.
        started: When training began.
    """
    train, holdout = (
        dataset_register(client, path, {**data, "slug": f"{data['slug']}-{part}", "name": f"{data['name']}, {words}"})
        for part, words, path in (
            ("train", "training rows", trained.train_path),
            ("test", "test rows", trained.holdout_path),
        )
    )
    digest = client.upload(trained.model_path)
    run = client.post(
        "runs",
        {
            "name": f"{model} {trained.name}",
            "code_commit": _commit(),
            "parameters": dict(trained.parameters["training"]),
            "started_at": started.isoformat(),
            "finished_at": datetime.now(UTC).isoformat(),
        },
    )
    version = client.post(
        f"models/{model}/versions",
        {
            "digest": digest.text,
            "code_commit": _commit(),
            "parameters": dict(trained.parameters),
            "metrics": dict(trained.metrics),
        },
    )
    _edge(client, ("dataset_version", train["id"]), ("run", run["id"]), "trained_on")
    _edge(client, ("run", run["id"]), ("model_version", version["id"]), "produced")
    return Registered(version["id"], version["digest"], version["number"], holdout["digest"])


def assess(demo: "Demo", client: NotaryClient, version: Registered, bias: Mapping[str, Any]) -> dict[str, Any]:
    """Have the workers explain the model and compare its decisions between groups; give both as evidence."""
    jobs = {
        kind: client.post(
            "assessments",
            {
                "kind": kind,
                "model": version.digest,
                "dataset": version.holdout_digest,
                "parameters": parameters,
            },
        )
        for kind, parameters in (("explanation", {}), ("bias", dict(bias)))
    }
    evidence = {}
    for kind, job in jobs.items():
        ended = client.job_wait(job["id"])
        assert ended["state"] == "succeeded", f"{kind} of {version.id}: {ended['problem']}"
        evidence[kind] = client.get(f"evidence/{ended['result']}")
    top = ", ".join(item["feature"] for item in evidence["explanation"]["payload"]["global_importance"][:3])
    demo.say(f"  explanation: {evidence['explanation']['payload']['rows']} rows, most important: {top}")
    payload = evidence["bias"]["payload"]
    demo.say(
        f"  bias: demographic parity ratio {payload['demographic_parity_ratio']:.3f}, "
        f"area under the curve {payload['auc']:.3f}, verdict {payload['verdict']}"
    )
    return evidence


def document_fetch(
    demo: "Demo", client: NotaryClient, kind: str, version: Registered, *, environment: str, name: str
) -> dict[str, Any]:
    """Have a report or a bundle made, and download it."""
    job = client.post("documents", {"kind": kind, "model": version.digest, "environment": environment})
    ended = client.job_wait(job["id"])
    assert ended["state"] == "succeeded", f"{kind}: {ended['problem']}"
    document: dict[str, Any] = client.get(f"documents/{ended['result']}")
    path = demo.save(name, client.download(f"documents/{ended['result']}/content"))
    demo.say(f"  {kind} {path.name}: {path.stat().st_size:,} bytes, {document['digest']}")
    return document


def controls_say(demo: "Demo", client: NotaryClient, system: str) -> dict[str, Any]:
    """Ask what became of each control for a system today, and say how many have each outcome."""
    evaluation: dict[str, Any] = client.get(f"systems/{system}/controls")
    counts = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in evaluation["counts"].items())
    demo.say(f"  controls as of {evaluation['as_of']}: {counts}")
    return {name: evaluation[name] for name in ("catalogue_digest", "as_of", "inputs_digest", "digest", "counts")}


def _edge(client: NotaryClient, source: tuple[str, str], target: tuple[str, str], role: str) -> None:
    client.post(
        "lineage",
        {
            "source": {"kind": source[0], "id": source[1]},
            "target": {"kind": target[0], "id": target[1]},
            "role": role,
        },
    )


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git made the checkout
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()
