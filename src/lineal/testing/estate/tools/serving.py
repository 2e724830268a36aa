"""The serving platform: deployments, services, rules; lists go on after the last id seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool


class Serving(Tool):
    """Puts instances behind services and routes members to them."""

    name: ClassVar[str] = "serving"
    prefix: ClassVar[str] = "/serving/v1"

    def offers(self) -> Mapping[str, Collection]:
        """Return deployments, services and rules."""
        return {
            "deployments": Collection("deployment", self._deployment),
            "services": Collection("service", self._service),
            "rules": Collection("rule", self._rule),
        }

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return what comes after an id; of rules only their objectives."""
        limit = request.number("limit", 50, low=1, high=50)
        ids = [ident for ident in self.ids(collection) if ident > request.query.get("after", "")]
        rows: list[Json] = [
            ident if segment == "rules" else collection.document(ident) for ident in ids[:limit]
        ]
        return Reply.json({segment: rows, "more": len(ids) > limit})

    def missing(self, kind: str, ident: str) -> Reply:
        """Say that there is no such thing."""
        return self.error(404, f"no such {kind}: {ident}")

    def error(self, status: int, message: str) -> Reply:
        """Return an error with a reason."""
        return Reply.json({"reason": message}, status)

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event that says what happened to what."""
        return {"what": kind, "id": ident, "happened": verb}

    def _deployment(self, ident: str) -> Document:
        deployment, evidence = self.world.deployments[ident], self.world.evidence
        running = {"image": evidence.running(ident)} if evidence else {}
        return {
            "id": deployment.id,
            "service": deployment.service,
            "status": deployment.status,
            "targets": [
                {"instance": target.instance, "weight": target.weight, "mode": target.mode}
                for target in deployment.targets
            ],
            "prediction_log_table": deployment.log_table.replace(".", "/", 1)
            if deployment.log_table
            else None,
            "since": deployment.since.isoformat(),
            **running,
        }

    def _service(self, ident: str) -> Document:
        service = self.world.services[ident]
        return {
            "id": service.id,
            "owner": service.owner,
            "calls": service.calls,
            "tier": service.tier,
            "requests_per_second": service.requests_per_second,
        }

    def _rule(self, ident: str) -> Document:
        rule = self.world.rules[ident]
        return {
            "objective": rule.objective,
            "abTestId": int(rule.test) if rule.test else None,
            "cellToModel": {str(number): instance for number, instance in rule.cells},
            "targetObjectives": rule.target_objectives,
            "modelType": rule.model_type,
            "defaultModel": rule.default,
        }
