"""The rules of an installation: which there are, what they would do, and what they have to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from lineal.enrich.rules.fixtures import Case, Tried, read_cases, try_cases
from lineal.errors import NotFound, RuleError
from lineal.model import Uri
from lineal.search import describe
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
    #: How many things its conclusions were looked for at.
    looked_at: int
    #: How many edges it would give in all, and how many of them appear and vanish by it.
    gives: int
    appear: int
    vanish: int
    #: Some of these, the first by name.
    appearing: tuple[Edge, ...]
    vanishing: tuple[Edge, ...]
    #: Things of which there are too many ways to conclude anything.
    failed: tuple[str, ...]


def rules_of(folders: Iterable[Path], shapes: Shapes) -> tuple[Rule, ...]:
    """
    Return the rules that come with Lineal and those of folders, in their order.

    Raises:
        RuleError: one is wrong, two have one name, or some look in a circle at what they give.
    """
    own = [rule for folder in folders for rule in read_rules(folder, shapes=shapes)]
    return in_order((*builtin_rules(), *own))


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
        failed = [name for name, _, _ in pending.failed]
        return [
            RuleStanding(
                rule,
                rule.name not in kept or kept[rule.name].enabled,
                rule.name in pending.rules,
                failed.count(rule.name),
            )
            for rule in self.rules
        ]

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

    def read(self, path: Path) -> Rule:
        """Read a rule from a file that need not be in use; raises `RuleError`."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RuleError(f"The file cannot be read: {error}.", file=str(path)) from error
        return read_rule(text, file=str(path), shapes=self._store.shapes)

    def tests(self, rule: Rule, fixture: Path | None = None) -> Iterator[Tried]:
        """
        Try a rule's fixture, each case in an empty database of its own.

        Raises:
            RuleError: there is no fixture, or it cannot be read.
        """
        for case in self._cases(rule, fixture):
            yield from try_cases([rule], [case], shapes=self._store.shapes, describe=describe)

    def _cases(self, rule: Rule, fixture: Path | None) -> tuple[Case, ...]:
        text = fixture_of(rule) if fixture is None else fixture.read_text("utf-8")
        if text is None:
            raise RuleError(
                f"Rule {rule.name} has no fixture.",
                file=rule.file,
                fix="Write one beside it, under the same name with .txt: lines that begin with "
                "given, said and expect.",
            )
        return read_cases(text, file=f"the fixture of {rule.name}")

    def dry_run(self, rule: Rule, told: Told = None) -> DryRun:
        """
        Return what a rule would give over all that is known now; nothing is written.

        It is compared with what stands by a rule of its name. What other rules would conclude from
        it is not looked at.
        """
        book = RuleBook([rule], self._store.shapes)
        found, standing, failed = set[Edge](), set[Edge](), list[str]()
        with self._store.read(LOCAL) as reader:
            starts = reader.of_types(rule.path.types[0])
            for at in range(0, len(starts), TOGETHER):
                some = starts[at : at + TOGETHER]
                for step in book.conclude_for(rule.name, some, reader):
                    if isinstance(step, Conclusion):
                        found |= (step.edges or {}).keys()
                    else:
                        failed.append(getattr(step, "error", rule.name))
                standing |= _standing(rule, set(some), reader)
                if told is not None:
                    told(at + len(some), len(starts))
        appear, vanish = found - standing, standing - found
        return DryRun(
            rule,
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
