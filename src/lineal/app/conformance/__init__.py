"""The conformance kit: whether a source keeps what the write path relies on.

First the source itself is asked (`looking`): does it list and find all, does it always say the
same, is "gone" said only of what is gone? What it answered is then told again through the real
write path, on a virtual clock and in databases that are thrown away (`histories`): replayed,
reordered, dropped, duplicated, delayed, deleted, garbled. A source over HTTP is also given its own
answers spoilt in many ways (`answers`). A seed repeats a run; nothing is ever written to a source
or to a database that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lineal.app.conformance import answers, histories, logs, looking
from lineal.app.conformance.answers import Recorder
from lineal.app.conformance.checks import Check, Findings, dice
from lineal.app.conformance.looking import Heard
from lineal.model import Json, Record
from lineal.shapes import Shapes
from lineal.sources import Fetched, FetchedSource, Key, Listed, LogSource, Refused
from lineal.sources.files import FileSource


@dataclass(frozen=True, slots=True)
class Report:
    """What was found of a source."""

    source: str
    seed: int
    #: How many documents it lists, and how many were looked at.
    listed: int
    examined: int
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Is nothing broken?"""
        return not any(check.verdict == "broken" for check in self.checks)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is examined, and how."""

    seed: int = 1
    #: So many documents of each sort are fetched.
    documents: int = 20
    #: Events as the tool sends them, to be understood.
    events: Sequence[Mapping[str, Json]] = field(default=())


def examine(
    source: FetchedSource,
    *,
    shapes: Shapes,
    plan: Plan | None = None,
    recorder: Recorder | None = None,
) -> Report:
    """
    Examine a source that is asked for its documents; it is only read.

    With a *recorder*, whose `source` it is, its answers over HTTP are spoilt too.
    """
    plan = plan or Plan()
    heard, findings = asked(source, shapes=shapes, plan=plan, recorder=recorder)
    histories.play(source, heard, findings, shapes, seed=plan.seed)
    return _report(source.name, plan, heard, findings)


def asked(
    source: FetchedSource, *, shapes: Shapes, plan: Plan, recorder: Recorder | None = None
) -> tuple[Heard, Findings]:
    """Ask a source all that is to be asked; return what it said, and what was found by that."""
    findings = Findings()
    heard = looking.look(source, shapes, findings, documents=plan.documents, seed=plan.seed)
    looking.missing(source, heard, findings, dice(plan.seed, "missing"))
    told: list[Mapping[str, Json]] = list(plan.events)
    if not told and recorder is not None:
        told += answers.invented(recorder.plan, heard)
    looking.events(source, heard, findings, told, given=bool(plan.events))
    if recorder is not None:
        answers.spoil(recorder, heard, findings)
    return heard, findings


def examine_files(
    source: FileSource, root: Path, *, shapes: Shapes, plan: Plan | None = None
) -> Report:
    """Examine a source of files, as they lie below *root*."""
    plan = plan or Plan()
    findings = Findings()
    heard = looking.read(source, root, shapes, findings, documents=plan.documents, seed=plan.seed)
    histories.play(looking.OfFiles(source), heard, findings, shapes, seed=plan.seed)
    return _report(source.name, plan, heard, findings)


def examine_log(
    source: LogSource,
    entries: Sequence[Mapping[str, Json]],
    *,
    shapes: Shapes,
    plan: Plan | None = None,
    unread: Sequence[Refused] = (),
) -> Report:
    """Examine a log source by some of its entries; *unread* are those that are none."""
    plan = plan or Plan()
    findings = Findings()
    faults = [f"{one.file} {one.index}: {one.reason}" for one in unread]
    findings.judge("reads what there is", faults, f"{len(entries)} entries were read.")
    heard = logs.look(
        source, entries, shapes, findings, documents=plan.documents, seed=plan.seed
    )  # fmt: skip
    logs.play(source, entries, findings, shapes, seed=plan.seed)
    return _report(source.name, plan, heard, findings)


def examine_snapshot(
    read: Callable[[], Iterable[Record | Refused]], *, shapes: Shapes, plan: Plan | None = None
) -> Report:
    """Examine what a snapshot of files says, which is read by *read*."""
    plan = plan or Plan()
    findings = Findings()
    name, records = logs.read_whole(read, findings)
    by_key = {Key.of(one.document): one for one in records}
    looking.noted_words(by_key, shapes, findings)
    listed = [Listed(key) for key in by_key]
    chosen = looking.sample(listed, plan.documents, dice(plan.seed, "sample"))
    heard = Heard(len(by_key), {key: Fetched(key, by_key[key]) for key in chosen})
    histories.play(logs.OfRecords(name, records), heard, findings, shapes, seed=plan.seed)
    return _report(name or "files", plan, heard, findings)


def _report(name: str, plan: Plan, heard: Heard, findings: Findings) -> Report:
    return Report(name, plan.seed, heard.listed, len(heard.fetched), tuple(findings))


__all__ = [
    "Check",
    "Plan",
    "Recorder",
    "Report",
    "asked",
    "examine",
    "examine_files",
    "examine_log",
    "examine_snapshot",
]
