"""The model registry: instances, models, evaluations; page tokens, ISO times, ETags."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from lineal.testing.estate.evidence import digest
from lineal.testing.estate.records import Instance, Thing
from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool

_CODES = {
    400: "BAD_REQUEST",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "METHOD_NOT_ALLOWED",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_NOUNS = {
    "instance": ("model_instance", "instance_id"),
    "model": ("model", "model_id"),
    "evaluation": ("evaluation", "evaluation_id"),
}


class Registry(Tool):
    """Keeps models and what was trained for them."""

    name: ClassVar[str] = "registry"
    prefix: ClassVar[str] = "/registry/api/v1"

    def offers(self) -> Mapping[str, Collection]:
        """Return instances, models and evaluations."""
        return {
            "instances": Collection("instance", self._instance),
            "models": Collection("model", self._model),
            "evaluations": Collection("evaluation", self._evaluation),
        }

    def show(self, collection: Collection, ident: str, request: Request) -> Reply:
        """Return one thing with its ETag, or 304 if the caller has that."""
        if ident not in self.world.shelf(collection.kind):
            return self.missing(collection.kind, ident)
        reply = Reply.json(collection.document(ident))
        etag = _etag(reply.body)
        known = [tag.strip().removeprefix("W/") for tag in (request.etag or "").split(",")]
        if etag in known or "*" in known:
            return Reply(304, b"", {"ETag": etag})
        return Reply(200, reply.body, {**reply.headers, "ETag": etag})

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return a page and the token of the next."""
        size = request.number("max_results", 100, low=1, high=100)
        start = _position(request.query.get("page_token", ""))
        ids = self.ids(collection)
        rows: list[Json] = [self._row(collection, ident) for ident in ids[start : start + size]]
        token = _token(start + size) if start + size < len(ids) else None
        return Reply.json({segment: rows, "next_page_token": token})

    def _row(self, collection: Collection, ident: str) -> Document:
        document = collection.document(ident)
        if collection.kind != "instance":
            return document
        return {"id": ident, "etag": _etag(Reply.json(document).body)}

    def error(self, status: int, message: str) -> Reply:
        """Return an error with a code in capitals."""
        return Reply.json(
            {"error_code": _CODES.get(status, "INTERNAL_ERROR"), "message": message}, status
        )

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event such as ``model_instance_created``."""
        noun, key = _NOUNS[kind]
        return {"event_type": f"{noun}_{verb}", key: ident}

    def _instance(self, ident: str) -> Document:
        instance, evidence = self.world.instances[ident], self.world.evidence
        return {
            "id": instance.id,
            "model_id": instance.model,
            "pipeline_run_id": instance.run,
            "owner_emails": instance.owners,
            "labels": _labels(instance.labels),
            "created_at": _iso(instance.created),
            "description": instance.description,
            "features": instance.features,
            "feature_service": instance.feature_service,
            "feature_set": instance.feature_set,
            "parent_instance_id": instance.base,
            "parent_relation": instance.relation,
            "training_tables": [_training_table(thing) for thing in instance.trained_on],
            "artifact_uri": f"s3://stream-models/{instance.model}/{instance.id}",
            "image_digest": evidence.image(ident) if evidence else digest(ident),
            **_paperwork(instance),
        }

    def _model(self, ident: str) -> Document:
        model, evidence = self.world.models[ident], self.world.evidence
        return {
            "id": model.id,
            "name": model.name,
            "description": model.description,
            "objective": model.objective,
            "owner_emails": model.owners,
            "aliases": evidence.aliases(ident) if evidence else dict(model.aliases),
            "labels": _labels(model.labels),
            "created_at": _iso(model.created),
        }

    def _evaluation(self, ident: str) -> Document:
        evaluation, evidence = self.world.evaluations[ident], self.world.evidence
        measured = {"dataset_digest": evidence.measured_content(ident)} if evidence else {}
        return {
            "id": evaluation.id,
            "instance": evaluation.instance,
            "table": evaluation.table,
            "metrics": dict(evaluation.metrics),
            "at": _iso(evaluation.at),
            **measured,
        }


def _paperwork(instance: Instance) -> Document:
    """Return files, publication, checks and code of an instance, as far as filled in."""
    if not instance.documented:
        return {
            "model_files": [],
            "publication": None,
            "alerting": None,
            "validation": None,
            "transforms": [],
            "source_link": None,
        }
    return {
        "model_files": ["model.bin", "scorer.jar"],
        "publication": {
            "published_at": _iso(instance.created + timedelta(minutes=30)),
            "channel": "production",
        },
        "alerting": {"metric": "auc", "below": 0.7},
        "validation": {"checks": ["load", "schema"], "result": "PASSED"},
        "transforms": ["bucketize"],
        "source_link": f"https://code.example.com/ml/{instance.model}",
    }


def _training_table(thing: Thing) -> Document:
    table, _, snapshot = thing[1].partition("@")
    return {"table": table, "snapshot": snapshot or None}


def _labels(labels: tuple[tuple[str, str], ...]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in labels]


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(f"p{position}".encode()).decode()


def _position(token: str) -> int:
    return int(base64.urlsafe_b64decode(token).decode().removeprefix("p")) if token else 0
