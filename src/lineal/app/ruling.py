"""The rules of an installation: which there are, what they would do, and what they have to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from lineal.access import LOCAL
from lineal.enrich.rules import (
    Rule,
    RuleBook,
    builtin_rules,
    fixture_of,
    in_order,
    read_rule,
    read_rules,
)
from lineal.enrich.rules.fixtures import Tried, read_cases, try_cases
from lineal.errors import NotFound, RuleError
from lineal.model import Uri
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Conclusion, Pending, Reader, Store, work

Edge: TypeAlias = "tuple[Uri, str, Uri]"
#: Called with how much is done, and how much there is where that is known.
Told: TypeAlias = "Callable[[int, int | None], None] | None"

#: How many things a dry run looks at together, and how many edges it shows of each sort.
TOGETHER, SHOWN = 2_000, 10


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """A rule, and how it stands."""

    rule: Rule
    enabled: bool
    #: Whether it has still something to do, so that not all of its edges are there yet.
    pending: bool
    #: For how many things it concludes nothing, because there are too many ways.
    failed: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a rule would do if it were in use as it is."""

    rule: Rule
    #: How many things its conclusions were looked for at, and of how many: all, unless the time
    #: was up. The rest is of what was looked at.
    looked_at: int
    of: int
    #: How many edges it would give in all, and how many of them appear and vanish by it.
    gives: int
    appear: int
    vanish: int
    #: Some of these, the first by name.
    appearing: tuple[Edge, ...]
    vanishing: tuple[Edge, ...]
    #: Things of which there are too many ways to conclude anything.
    failed: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything was looked at."""
        return self.looked_at == self.of


@dataclass(frozen=True, slots=True)
class Failure:
    """A thing for which a rule concludes nothing, and why."""

    uri: Uri
    error: str


def rules_of(folders: Iterable[Path], shapes: Shapes) -> tuple[Rule, ...]:
    """
    Return the rules that come with Lineal and those of folders, in their order.

    Raises:
        RuleError: one is wrong, two have one name, or some look in a circle at what they give.
    """
    own = [rule for folder in folders for rule in read_rules(folder, shapes=shapes)]
    return in_order((*builtin_rules(), *own))


def rule_in(path: Path, shapes: Shapes) -> Rule:
    """Read a rule from a file that need not be in use; raises `RuleError`."""
    # A name without a folder is that of a rule that comes with Lineal.
    file = str(path) if len(path.parts) > 1 else f"./{path}"
    return read_rule(_text(path), file=file, shapes=shapes)


def try_rule(rule: Rule, shapes: Shapes, fixture: Path | None = None) -> Iterator[Tried]:
    """
    Try a rule's fixture, each case in an empty database of its own.

    Raises:
        RuleError: there is no fixture, or it cannot be read.
    """
    text = fixture_of(rule) if fixture is None else _text(fixture)
    if text is None:
        raise RuleError(
            f"Rule {rule.name} has no fixture.",
            file=rule.file,
            fix="Write one beside it, under the same name with .txt: lines that begin with "
            "given, said and expect.",
        )
    file = f"the fixture of {rule.name}" if fixture is None else str(fixture)
    yield from try_cases(
        [rule], read_cases(text, file=file), shapes=shapes, describe=describing(shapes)
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"The file cannot be read: {error}.", file=str(path)) from error


class Ruling:
    """The rules of one installation, at its store."""

    def __init__(self, store: Store, rules: Sequence[Rule]) -> None:
        self._store, self.rules = store, tuple(rules)
        self._named = {rule.name: rule for rule in rules}

    def rule(self, name: str) -> Rule:
        """Return a rule; raises `NotFound`."""
        if name not in self._named:
            raise NotFound(
                f"There is no rule {name!r}.", fix=f"Rules are {', '.join(sorted(self._named))}."
            )
        return self._named[name]

    # ── How they stand ───────────────────────────────────────────────────────────────────────

    def standing(self) -> list[RuleStanding]:
        """Return every rule and how it stands, in their order."""
        pending, kept = self._store.pending_rules(), self._store.kept_rules()
        return [
            RuleStanding(
                rule,
                kept[rule.name].enabled if rule.name in kept else rule.enabled,
                rule.name in pending.rules,
                pending.failing.get(rule.name, 0),
            )
            for rule in self.rules
        ]

    def stands(self, name: str) -> RuleStanding:
        """Return how one rule stands; raises `NotFound`."""
        rule = self.rule(name)
        return next(one for one in self.standing() if one.rule is rule)

    def failures(self, name: str) -> tuple[Failure, ...]:
        """Return for which things a rule concludes nothing and why, the first by name."""
        failed = [
            (key, why) for rule, key, why in self._store.pending_rules().failed if rule == name
        ]
        with self._store.read(LOCAL) as reader:
            uris = reader.uris({key for key, _ in failed})
        found = (Failure(uris[key], why) for key, why in failed)
        return tuple(sorted(found, key=lambda one: one.uri))

    def pending(self) -> Pending:
        """Return how much rules have still to do."""
        return self._store.pending_rules()

    def follow(self, told: Told = None) -> int:
        """Do all that rules have still to do; return in how many pieces."""
        done = 0
        while self._store.follow_rules():
            done += 1
            if told is not None:
                told(done, None)
        return done

    def switch(self, name: str, *, enabled: bool, actor: str, reason: str = "") -> bool:
        """
        Let a rule conclude, or withdraw all that it concluded; return whether that is new.

        The work is done in the background, or by `follow`. Raises `NotFound`.
        """
        self.rule(name)
        changed = self._store.switch_rule(name, enabled=enabled)
        if changed:
            deed = "enable rule" if enabled else "disable rule"
            with self._store.working() as ledger:
                at = self._store.now()
                work.note(
                    ledger, at=at, actor=actor, what=deed, source=name, reason=reason, count=1
                )
        return changed

    # ── Trying ───────────────────────────────────────────────────────────────────────────────

    def read(self, text: str, file: str) -> Rule:
        """Read a rule that need not be in use, from what *file* says; raises `RuleError`."""
        return read_rule(text, file=file, shapes=self._store.shapes)

    def dry_run(self, rule: Rule, told: Told = None, *, most: float | None = None) -> DryRun:
        """
        Return what a rule would give over all that is known now; nothing is written.

        It is compared with what stands by a rule of its name. What other rules would conclude from
        it is not looked at. After *most* seconds no more things are looked at.
        """
        until = None if most is None else time.monotonic() + most
        looked = 0
        book = RuleBook([rule], self._store.shapes)
        found, standing, failed = set[Edge](), set[Edge](), list[str]()
        with self._store.read(LOCAL) as reader:
            starts = reader.of_types(rule.path.types[0])
            for at in range(0, len(starts), TOGETHER):
                if until is not None and at and time.monotonic() > until:
                    break
                some = starts[at : at + TOGETHER]
                for step in book.conclude_for(rule.name, some, reader):
                    if isinstance(step, Conclusion):
                        edges = step.edges()
                        uris = reader.uris(chain.from_iterable(edges))
                        found |= {(uris[src], step.kind, uris[dst]) for src, dst in edges}
                    else:
                        failed.append(getattr(step, "error", rule.name))
                standing |= _standing(rule, set(some), reader)
                looked = at + len(some)
                if told is not None:
                    told(looked, len(starts))
        appear, vanish = found - standing, standing - found
        return DryRun(
            rule,
            looked,
            len(starts),
            len(found),
            len(appear),
            len(vanish),
            tuple(sorted(appear)[:SHOWN]),
            tuple(sorted(vanish)[:SHOWN]),
            tuple(failed[:SHOWN]),
        )


def _standing(rule: Rule, starts: set[int], reader: Reader) -> set[Edge]:
    """Return the edges that stand by a rule of this name, of those kept by these things."""
    own = reader.documents_of(f"rule:{rule.name}")
    if not own:
        return set()
    links = [
        link
        for link in reader.held(starts, (rule.gives,))
        if link.document in own and (link.src if rule.by_start else link.dst) in starts
    ]
    uris = reader.uris({end for link in links for end in (link.src, link.dst)})
    return {(uris[link.src], link.kind, uris[link.dst]) for link in links}
