"""What a rule has concluded: the edges that stand by it, each with a reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from lineal.errors import OutOfTime
from lineal.model import Answer, Cut
from lineal.query.things import Brief, Things, answer


@dataclass(frozen=True, slots=True)
class Concluded:
    """An edge that stands by a rule, and one of the reasons for it."""

    start: Brief
    kind: str
    end: Brief
    why: str


def concluded(things: Things, rule: str, *, limit: int) -> Answer[tuple[Concluded, ...]]:
    """Return edges that stand by a rule, of whatever version, and how many there are in all."""
    reader = things.reader
    documents = reader.documents_of(f"rule:{rule}")
    found = reader.concluded(documents, limit) if documents else []
    why: list[Cut] = []
    total: int | None = len(found)
    if len(found) == limit and documents:
        try:
            total = reader.count_concluded(documents)
        except OutOfTime:
            total = None
        if total is None or total > limit:
            why.append(Cut("list", done=limit, total=total))
    briefs = things.briefs({end for src, _, dst, _ in found for end in (src, dst)})
    told = [Concluded(briefs[src], kind, briefs[dst], word) for src, kind, dst, word in found]
    told.sort(key=lambda one: (one.start.uri, one.kind, one.end.uri))
    return answer(reader, tuple(told), why=why, total=total)
