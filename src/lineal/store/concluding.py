"""Rules at work in a transaction: what follows from a change, and from what was put off before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from lineal.digests import EdgeId
from lineal.model import Json, Uri
from lineal.store import facts, pending, schema
from lineal.store.batches import Surroundings
from lineal.store.conclusions import (
    Change,
    Conclusion,
    Derivation,
    Failed,
    Program,
    PutOff,
    Rules,
    Step,
)
from lineal.store.following import Following
from lineal.store.ledger import Ledger
from lineal.store.reading import Reader
from lineal.store.rows import Rows
from lineal.store.seals import Owner
from lineal.store.turns import Turn

#: How many things one rule concludes for in the commit of a change, beside as many as the change
#: has edges; what is more waits for transactions of its own, of as many things each.
MOST = 500


class Piece(NamedTuple):
    """A piece of what waited, that was done."""

    rule: str
    #: For how many things the rule concluded.
    things: int


class Concluding:
    """Lets rules conclude in one transaction, and writes what they say."""

    def __init__(
        self, ledger: Ledger, reader: Reader, rows: Rows, around: Surroundings, turn: Turn
    ) -> None:
        self._ledger, self._reader, self._rows = ledger, reader, rows
        self._around, self._turn = around, turn
        #: The edges that began, ended or changed by what was concluded.
        self.edges: set[EdgeId] = set()
        self._documents: dict[str, dict[int, Owner]] = {}
        self._idle: frozenset[str] | None = None
        self._are_first = False
        #: May anything wait for a rule, from before or put off by this transaction?
        self._may_wait = turn.rules_wait

    # ── What follows from a change ───────────────────────────────────────────────────────────

    def by_change(
        self,
        things: Collection[Uri],
        edges: Collection[EdgeId],
        was: Mapping[Uri, Sequence[str]] | None = None,
    ) -> set[EdgeId]:
        """Conclude what a change may touch; return the edges that it changed in turn."""
        if not self._around.rules:
            return self.edges
        every = set(edges)
        before = _Before(was or {})
        most = MOST + len(edges)
        for rules in self._around.rules:
            self._agree()
            change = Change(frozenset(things), every, before, self._idle or frozenset())
            for step in rules.conclude(change, self._reader, most):
                self._take(step)
                every |= self.edges
        return self.edges

    def by_edges(self, edges: Collection[EdgeId]) -> set[EdgeId]:
        """Conclude at once what follows from edges by what is no program: those go `by_starts`."""
        programs = frozenset(self._programs())
        for rules in self._around.rules:
            change = Change(frozenset(), set(edges) | self.edges, idle=programs)
            for step in rules.conclude(change, self._reader):
                self._take(step)
        return self.edges

    def all_done(self) -> None:
        """Hold all rules for concluded: whoever says so has just let them."""
        programs = [program for _, program in self._programs().values()]
        pending.agree(self._ledger, programs, self._turn.t, self._turn.instant, plan=False)

    def by_starts(self, rules: Rules, name: str, starts: Sequence[int]) -> set[EdgeId]:
        """Conclude all that one rule says of some things, for which it has said nothing yet."""
        self._are_first = True
        for step in rules.conclude_for(name, starts, self._reader):
            self._take(step)
        return self.edges

    # ── What was put off ─────────────────────────────────────────────────────────────────────

    def next_piece(self, most: int) -> Piece | None:
        """Do a piece of what waits, of at most *most* things; return what it was, or None."""
        self._agree()
        programs = self._programs()
        task = pending.next_task(self._ledger, list(programs), most)
        if task is None:
            return None
        pending.done(self._ledger, task)
        things = 0
        if task.position == pending.WITHDRAW:
            things = self._withdraw(task, programs.get(task.rule), most)
        elif task.rule in programs:
            rules, program = programs[task.rule]
            for step in self._piece(rules, program, task, most):
                self._take(step)
                things += len(step.starts) if isinstance(step, Conclusion) else 0
        self.by_change((), frozenset(self.edges))
        return Piece(task.rule, things)

    def _piece(
        self, rules: Rules, program: Program, task: pending.Task, most: int
    ) -> Iterable[Step]:
        if task.position != pending.THROUGH:
            yield from rules.go_on(
                task.rule, task.position, task.keys, task.after, self._reader, most
            )
            return
        driver = self._ledger.driver
        keys = pending.things_after(driver, program.types, task.after, most)
        if keys:
            yield from rules.conclude_for(task.rule, keys, self._reader)
            yield PutOff(task.rule, ((pending.THROUGH, 0),), after=keys[-1])

    def _withdraw(self, task: pending.Task, known: tuple[Rules, Program] | None, most: int) -> int:
        """
        Take back what stands of versions of a rule that are no more, or of the rule at all.

        Return of how many things.
        """
        documents = self._documents_of(task.rule)
        if known is not None and task.rule not in (self._idle or ()):
            name = (f"rule:{task.rule}", f"version:{known[1].version}")
            documents = {number: owner for number, owner in documents.items() if owner != name}
        driver = self._ledger.driver
        keys = pending.begun_after(driver, documents, task.after, most) if documents else []
        if not keys:
            return 0
        following = Following(
            driver, self._reader, self._rows,
            documents=documents, document=min(documents), now=self._turn.instant,
        )  # fmt: skip
        nothing = Conclusion(task.rule, "", "", keys, (), {}, _unsaid)
        self.edges |= following.write(nothing)
        again = PutOff(task.rule, ((pending.WITHDRAW, 0),), after=keys[-1])
        pending.put_off(self._ledger, again, self._turn.t, self._turn.instant)
        return len(keys)

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    def _take(self, step: Step) -> None:
        """Write what a rule says."""
        if isinstance(step, PutOff):
            pending.put_off(self._ledger, step, self._turn.t, self._turn.instant)
            self._may_wait = True
        elif isinstance(step, Failed):
            pending.fail(self._ledger, step, self._turn.t, self._turn.instant)
            self._may_wait = True
        else:
            self._write(step)

    def _write(self, conclusion: Conclusion) -> None:
        if self._may_wait:
            pending.forgive(self._ledger, conclusion.rule, conclusion.starts)
        documents = self._documents_of(conclusion.rule)
        if not documents and not conclusion.derivations:
            return
        document = self._document(conclusion, documents)
        following = Following(
            self._ledger.driver, self._reader, self._rows,
            documents=documents, document=document, now=self._turn.instant,
        )  # fmt: skip
        self.edges |= following.write(conclusion, is_first=self._are_first)

    def _document(self, conclusion: Conclusion, documents: dict[int, Owner]) -> int:
        """A rule is the document that its edges are claimed by, one for each version."""
        name = (f"rule:{conclusion.rule}", f"version:{conclusion.version}")
        for number, owner in documents.items():
            if owner == name:
                return number
        if not conclusion.derivations:
            return min(documents)
        number = self._turn.next_document
        self._turn.next_document += 1
        row = (number, *name, 0, b"", None, True, False, b"")
        self._ledger.insert(schema.document, [row])
        documents[number] = name
        return number

    def _documents_of(self, rule: str) -> dict[int, Owner]:
        if rule not in self._documents:
            rows = self._ledger.driver.rows(
                "SELECT id, source, name FROM document WHERE source = ?", f"rule:{rule}"
            )
            self._documents[rule] = {row[0]: (row[1], row[2]) for row in rows}
        return self._documents[rule]

    # ── Which rules ──────────────────────────────────────────────────────────────────────────

    def switch(self, name: str, enabled: bool) -> bool:
        """Plan that a rule concludes, or that what it concluded is withdrawn; is that new?"""
        self._agree()
        at = self._turn.instant
        return pending.switch(self._ledger, name, enabled=enabled, t=self._turn.t, at=at)

    def _programs(self) -> dict[str, tuple[Rules, Program]]:
        return {
            program.name: (rules, program)
            for rules in self._around.rules
            for program in rules.programs
        }

    def _agree(self) -> None:
        """See once that the database keeps up the rules of now, and which of them are idle."""
        if self._idle is not None:
            return
        agreed, seal = self._around.agreed, self._turn.rules
        if agreed.idle is not None and agreed.seal == seal:
            self._idle = agreed.idle
            return
        driver = self._ledger.driver
        programs = [program for rules in self._around.rules for program in rules.programs]
        kept = pending.kept_rules(driver)
        is_new = {one.name: one.digest for one in programs} != {
            name: rule.digest for name, rule in kept.items()
        }
        if is_new:
            # In what is empty there is nothing to go through.
            turn, plan = self._turn, self._turn.t > 1
            pending.agree(self._ledger, programs, turn.t, turn.instant, plan=plan)
            self._may_wait = True
            kept = pending.kept_rules(driver)
        self._idle = frozenset(name for name, rule in kept.items() if not rule.enabled)
        if not is_new:
            agreed.seal, agreed.idle = seal, self._idle


def _unsaid(each: Derivation, _: Mapping[int, Uri]) -> str:
    """Nothing is concluded, so that no reason is asked for."""
    raise AssertionError(each)


class _Before(Mapping[Uri, Sequence[Mapping[str, Json]]]):
    """What was said of things, read where somebody asks."""

    def __init__(self, bodies: Mapping[Uri, Sequence[str]]) -> None:
        self._bodies = bodies

    def __getitem__(self, uri: Uri) -> Sequence[Mapping[str, Json]]:
        return [msgspec.json.decode(body) for body in self._bodies[uri] if body != facts.TOMBSTONE]

    def __iter__(self) -> Iterator[Uri]:
        return iter(self._bodies)

    def __len__(self) -> int:
        return len(self._bodies)
