"""The identity platform: people and groups as SCIM tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool

_SCIM = "urn:ietf:params:scim"
_OPERATIONS = {"created": "create", "updated": "update", "deleted": "delete"}
_TYPES = {"user": "User", "team": "Group"}


class Identity(Tool):
    """Knows who works here, in which group, under which addresses."""

    name: ClassVar[str] = "identity"
    prefix: ClassVar[str] = "/identity/scim/v2"

    def offers(self) -> Mapping[str, Collection]:
        """Return users and groups."""
        return {"Users": Collection("user", self._user), "Groups": Collection("team", self._group)}

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return resources from a place counted from one."""
        start = request.number("startIndex", 1, low=1)
        count = request.number("count", 50, high=50)
        ids = self.ids(collection)
        resources: list[Json] = [
            collection.document(ident) for ident in ids[start - 1 : start - 1 + count]
        ]
        return Reply.json(
            {
                "schemas": [f"{_SCIM}:api:messages:2.0:ListResponse"],
                "totalResults": len(ids),
                "startIndex": start,
                "itemsPerPage": len(resources),
                "Resources": resources,
            }
        )

    def error(self, status: int, message: str) -> Reply:
        """Return a SCIM error, whose status is a string."""
        return Reply.json(
            {
                "schemas": [f"{_SCIM}:api:messages:2.0:Error"],
                "status": str(status),
                "detail": message,
            },
            status,
        )

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event with the resource and what was done to it."""
        return {"resourceType": _TYPES[kind], "resourceId": ident, "operation": _OPERATIONS[verb]}

    def _user(self, ident: str) -> Document:
        user = self.world.users[ident]
        return {
            "schemas": [f"{_SCIM}:schemas:core:2.0:User"],
            "id": user.id,
            "userName": user.id,
            "displayName": user.name,
            "emails": [
                {"value": email, "primary": number == 0} for number, email in enumerate(user.emails)
            ],
            "active": user.active,
            "title": user.title,
            "meta": self._meta("user", ident),
        }

    def _group(self, ident: str) -> Document:
        team, evidence = self.world.teams[ident], self.world.evidence
        members = evidence.members(ident) if evidence else team.members
        # Each organisation is responsible for the domain of its name.
        domain = {"domain": ident} if evidence and team.parent is None else {}
        return {
            "schemas": [f"{_SCIM}:schemas:core:2.0:Group"],
            "id": team.id,
            "displayName": team.name,
            "members": [{"value": member} for member in members],
            "parent": {"value": team.parent} if team.parent else None,
            **domain,
            "meta": self._meta("team", ident),
        }

    def _meta(self, kind: str, ident: str) -> Document:
        return {
            "resourceType": _TYPES[kind],
            "version": f'W/"{self.world.versions[(kind, ident)]}"',
        }
