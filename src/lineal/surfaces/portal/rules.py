"""The pages of rules: which there are and how they stand, and one with all that it gives."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from lineal.enrich.rules.telling import drawn, written
from lineal.errors import Invalid
from lineal.surfaces import bodies
from lineal.surfaces.bodies import Body
from lineal.surfaces.formats_rules import is_builtin
from lineal.surfaces.portal.desk import Desk, times
from lineal.surfaces.portal.forms import actor, fields
from lineal.surfaces.portal.frame import Page, Seen
from lineal.surfaces.portal.links import address

Sent = Annotated[Body, Depends(bodies.read)]
Named = Annotated[str, Path(max_length=64)]
#: How many edges of a rule are listed.
LISTED = 100


class RulePages:
    """Which rules there are, what each says, how it stands and what stands by it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ruling = desk.lineal.ruling

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/rules": self.rules, "/rules/{name}": self.rule}

    def add_to(self, router: APIRouter) -> None:
        """Add what the buttons of these pages do."""
        router.add_api_route("/rules/{name}", self.switch, methods=["POST"])

    def rules(self, request: Request, seen: Seen) -> Response:
        """Show every rule: what it gives, from what, and how it stands."""
        shapes = self._desk.shapes
        standing = self._ruling.standing()
        return self._desk.frame.page(
            "rules.html", request, seen.links, answer=None, now=self._desk.lineal.store.now(),
            query="", api="/api/v1/rules", pending=self._ruling.pending(), standing=standing,
            drawn={one.rule.name: drawn(one.rule, shapes) for one in standing},
            written={one.rule.name: written(one.rule) for one in standing},
        )  # fmt: skip

    def rule(self, request: Request, seen: Seen, name: Named) -> Response:
        """Show one rule, and the edges that stand by it."""
        stand = self._ruling.stands(name)
        told = self._desk.ask.concluded(seen.viewer, name, seen.moment, limit=LISTED)
        return self._desk.page(
            "rule.html", request, seen, told,
            api=address(f"/api/v1/rules/{name}/edges", {"limit": LISTED, **times(seen)}),
            stand=stand, rule=stand.rule, told=told.value, written=written(stand.rule),
            drawn=drawn(stand.rule, self._desk.shapes), builtin=is_builtin(stand.rule),
            failures=self._ruling.failures(name), pending=self._ruling.pending(),
            deeds=[
                one for one in self._desk.lineal.deeds()
                if one.source == name and one.what.endswith(" rule")
            ][:10],
        )  # fmt: skip

    def switch(self, sent: Sent, name: Named) -> Response:
        """Let a rule conclude again, or withdraw what it concluded."""
        said = fields(sent)
        if said.get("do") not in ("enable", "disable"):
            raise Invalid("Nothing was asked for.", fix="Use the buttons of the page.")
        self._desk.lineal.switch_rule(
            name, enabled=said["do"] == "enable", actor=actor(said), reason=said.get("reason", "")
        )
        return RedirectResponse(f"/rules/{name}", 303)
