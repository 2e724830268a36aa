"""Examining: what of a document does not fit, and what becomes of it by its source's file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lineal.errors import Invalid, Unfit
from lineal.model import Record
from lineal.shapes import Shapes
from lineal.shapes.examining import SORTS, Examiner, Finding
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

    def examined(
        self,
        record: Record,
        unmapped: Sequence[str] | None,
        policies: Mapping[str, str] | None = None,
        findings: tuple[Finding, ...] | None = None,
    ) -> Examined:
        """
        Return what was found of a record, of the fields that nothing maps too, if known.

        *policies* say by the sort of a finding what becomes of it; where not given, its source's
        file does. *findings* are those of the shapes, where they were looked for already.
        """
        fields = tuple(Finding("fields", name, "Nothing maps it.") for name in unmapped or ())
        found = self._examiner.examine(record) if findings is None else findings
        findings = (*found, *fields)
        if not findings:
            return Examined(record.subject, fields=unmapped is not None)
        chosen = self._policies.get(record.source, {}) if policies is None else policies
        policy = max({chosen.get(one.sort, "store") for one in findings}, key=POLICIES.index)
        return Examined(record.subject, findings, policy, unmapped is not None)


def policies(words: Iterable[str]) -> dict[str, str]:
    """
    Read what becomes of what does not fit, each as ``POLICY`` (of all sorts) or ``SORT=POLICY``.

    >>> policies(["quarantine", "fields=store"])["fields"]
    'store'

    Raises:
        Invalid: a word is neither.
    """
    found: dict[str, str] = {}
    for word in words:
        sort, is_one, policy = word.rpartition("=")
        if policy not in POLICIES or (is_one and sort not in SORTS):
            raise Invalid(
                f"{word!r} does not say what becomes of what does not fit.",
                fix=f"Say {', '.join(POLICIES[:-1])} or {POLICIES[-1]}; of one sort, as in"
                f" values=reject (also {', '.join(SORTS[1:])}).",
            )
        found.update(dict.fromkeys([sort] if is_one else SORTS, policy))
    return found


#: What mends a document that was put aside; and one that came from a file, which nobody can ask.
REPLAY = "Mend the source's file or the shapes, and replay it; or choose `unfit: store`."
IMPORT = "Mend the file, its source's file or the shapes, and import it again; or `--unfit store`."


def refusal(document: str, examined: Examined, fix: str = REPLAY) -> Unfit:
    """Return the reason why a document is put aside."""
    told = [f"{one.name}: {one.text}" for one in examined.findings[:NAMED]]
    more = len(examined.findings) - NAMED
    return Unfit(
        f"{document} does not fit: {' '.join(told)}{f' And {more} more.' if more > 0 else ''}",
        fix=fix,
    )
