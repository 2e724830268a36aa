"""Which arguments a question has: one that nobody takes is refused, and not passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request

from lineal.errors import Invalid
from lineal.shapes.nodes import nearest

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant


class Known:
    """Refuses what no endpoint takes: ``knownat`` would be answered as of now."""

    def __init__(self) -> None:
        self._taken: dict[str, frozenset[str]] = {}

    async def __call__(self, request: Request) -> None:
        """See one request."""
        if not request.scope["query_string"]:
            return
        route = request.scope["route"]
        taken = self._taken.get(route.unique_id)
        if taken is None:
            taken = self._taken[route.unique_id] = frozenset(_taken_by(route.dependant))
        for name in request.query_params:
            if name not in taken:
                raise Invalid(
                    f"There is no argument {name[:80]!r} here.",
                    fix=nearest(name, taken) if taken else "It takes none.",
                )


def _taken_by(dependant: Dependant) -> set[str]:
    taken = {field.alias for field in dependant.query_params}
    return taken.union(*map(_taken_by, dependant.dependencies))
