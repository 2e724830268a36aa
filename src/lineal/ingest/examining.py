"""Examining: what of a document does not fit, and what becomes of it by its source's file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lineal.errors import Unfit
from lineal.model import Record
from lineal.shapes import Shapes
from lineal.shapes.examining import Examiner, Finding
from lineal.sources import FetchedSource
from lineal.store.work import Examined

#: The mildest first.
POLICIES = ("store", "quarantine", "reject")
#: So many findings are named in the reason of a document that is put aside.
NAMED = 5


class Examining:
    """Examines the documents of one installation's sources."""

    def __init__(self, shapes: Shapes, fetched: Mapping[str, FetchedSource]) -> None:
        self._examiner = Examiner(shapes)
        self._policies = {name: source.habits.unfit for name, source in fetched.items()}

    def examined(self, record: Record, unmapped: Sequence[str] | None) -> Examined:
        """Return what was found of a record, of the fields that nothing maps too, if known."""
        fields = tuple(Finding("fields", name, "Nothing maps it.") for name in unmapped or ())
        findings = (*self._examiner.examine(record), *fields)
        if not findings:
            return Examined(record.subject, fields=unmapped is not None)
        chosen = self._policies.get(record.source, {})
        policies = {chosen.get(one.sort, "store") for one in findings}
        policy = max(policies, key=POLICIES.index)
        return Examined(record.subject, findings, policy, unmapped is not None)


def refusal(document: str, examined: Examined) -> Unfit:
    """Return the reason why a document is put aside."""
    told = [f"{one.name}: {one.text}" for one in examined.findings[:NAMED]]
    more = len(examined.findings) - NAMED
    return Unfit(
        f"{document} does not fit: {' '.join(told)}{f' And {more} more.' if more > 0 else ''}",
        fix="Mend the source's file or the shapes, and replay it; or choose `unfit: store`.",
    )
