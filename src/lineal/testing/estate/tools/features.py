"""The feature store: sets and services in the manner of Kubernetes; Link headers, RFC 2822."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import format_datetime
from typing import ClassVar

from lineal.testing.estate.records import Feature, FeatureService, FeatureSet
from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool

_TYPES = {"feature_set": "FeatureSet", "feature_service": "FeatureService"}
_VERBS = {"created": "ADDED", "updated": "MODIFIED", "deleted": "DELETED"}


class Features(Tool):
    """Keeps what features mean and where they come from."""

    name: ClassVar[str] = "features"
    prefix: ClassVar[str] = "/features/v2"

    def offers(self) -> Mapping[str, Collection]:
        """Return feature sets and feature services."""
        return {
            "feature-sets": Collection("feature_set", self._set),
            "feature-services": Collection("feature_service", self._service),
        }

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return an array; where there is more, a header says so."""
        start = request.number("start", 0)
        size = request.number("size", 50, low=1, high=50)
        ids = self.ids(collection)
        body: list[Json] = [collection.document(ident) for ident in ids[start : start + size]]
        more = f'<{self.prefix}/{segment}?start={start + size}&size={size}>; rel="next"'
        return Reply.json(body, headers={"Link": more} if start + size < len(ids) else None)

    def error(self, status: int, message: str) -> Reply:
        """Return an error in plain text."""
        return Reply(status, message.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event as a cluster would send it."""
        return {
            "apiVersion": "features/v2",
            "type": _TYPES[kind],
            "verb": _VERBS[verb],
            "name": ident,
        }

    def _set(self, ident: str) -> Document:
        found = self.world.feature_sets[ident]
        spec: Document = {
            "features": [_feature(feature) for feature in found.features],
            "batchSources": found.tables,
            "materializedBy": found.materialized_by,
        }
        return {"metadata": _metadata(found), "spec": spec}

    def _service(self, ident: str) -> Document:
        service = self.world.feature_services[ident]
        return {"metadata": _metadata(service), "spec": {"features": service.features}}


def _metadata(item: FeatureSet | FeatureService) -> Document:
    return {
        "name": item.id,
        "owner": ":".join(item.owner),
        "labels": {"domain": item.domain},
        "createdTimestamp": format_datetime(item.created),
        "description": item.description,
    }


def _feature(feature: Feature) -> Document:
    source = {"table": feature.source[0], "column": feature.source[1]} if feature.source else None
    return {
        "name": feature.name,
        "valueType": feature.type,
        "description": feature.description,
        "source": source,
        "deprecated": feature.deprecated,
    }
