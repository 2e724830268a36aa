"""What an estate's tools tell beside the plain facts: digests, states of tables, code, domains.

Rules conclude from it. The shelves hold what really happened; what tools and people say of it is
now and then wrong, as often as *slips* says: a digest that is missing or of another build, a cell
of another test, an alias that was forgotten. Each slip falls by dice of its own, so that whether
one happens changes nothing else of the world.
"""

from __future__ import annotations

import hashlib
import re
from random import Random

from lineal.testing.estate.records import Run, Snapshot, Thing
from lineal.testing.estate.shelves import Shelves

#: Where all pipelines are written, in one folder each.
REPOSITORY = "https://code.example.com/estate/pipelines"


class Evidence:
    """Says of a world what its tools say, right or wrong."""

    def __init__(self, world: Shelves, *, seed: int, slips: float) -> None:
        """Add the states of tables that evaluations measure; *slips* is a share, from 0 to 1."""
        self._world, self._seed, self._share = world, seed, slips
        #: The state of its table that each evaluation really measured.
        self.measured: dict[str, str] = {}
        self._keep_states()

    # -- digests ---------------------------------------------------------------------------------

    def image(self, instance: str) -> str | None:
        """Return the digest that the registry has of an instance's image."""
        if self._slips("no image", instance):
            return None
        model = self._world.instances[instance].model
        older = [i.id for i in self._world.instances.values() if i.model == model]
        before = older[: older.index(instance)]
        # Packed in one image with the version before, and chosen by a setting.
        return digest(before[-1] if before and self._slips("one image", instance) else instance)

    def running(self, deployment: str) -> str | None:
        """Return the digest of what a deployment mostly runs, as the serving platform has it."""
        targets = self._world.deployments[deployment].targets
        if not targets or self._slips("no running image", deployment):
            return None
        most = max(targets, key=lambda target: target.weight).instance
        return digest(f"{most} rebuilt" if self._slips("rebuilt", deployment) else most)

    def content(self, snapshot: str) -> str | None:
        """Return the digest that the catalogue has of a state's content."""
        if self._slips("no content", snapshot):
            return None
        table = self._world.snapshots[snapshot].table
        every = [s.id for s in self._world.snapshots.values() if s.table == table]
        before = every[: every.index(snapshot)]
        # Written again with the same content.
        return digest(before[-1] if before and self._slips("same content", snapshot) else snapshot)

    def measured_content(self, evaluation: str) -> str | None:
        """Return the digest that an evaluation has of the data that it measured with."""
        state = self.measured.get(evaluation)
        if state is None or self._slips("nothing hashed", evaluation):
            return None
        return digest(f"a sample of {state}" if self._slips("sampled", evaluation) else state)

    def _keep_states(self) -> None:
        """Put a state of each table of an evaluation on the shelf for each run that wrote it."""
        tables = sorted({one.table for one in self._world.evaluations.values()})
        kept = {one.table for one in self._world.snapshots.values()}
        for table in tables:
            runs = [r for r in self._world.runs.values() if ("table", table) in r.outputs]
            if table in kept:
                continue
            for number, run in enumerate(runs, 9001):
                written = run.finished or run.started
                ident = f"{table}@{number}"
                self._world.put(Snapshot(ident, table, str(number), run.id, written, 1000 * number))
        for evaluation in self._world.evaluations.values():
            states = [s.id for s in self._world.snapshots.values() if s.table == evaluation.table]
            if states:
                older = self._dice("older state", evaluation.id).random() < 0.3
                self.measured[evaluation.id] = states[0 if older else -1]

    # -- runs, aliases, people -------------------------------------------------------------------

    def cells(self, run: Run) -> tuple[tuple[str, int, str], ...]:
        """Return for which cells the orchestrator says that a run was."""
        if not run.cells or not self._slips("cells", run.id):
            return run.cells
        dice = self._dice("which cells", run.id)
        if dice.random() < 0.5:
            return ()
        other = self._world.tests[dice.choice(sorted(self._world.tests))]
        return ((other.id, other.cells[-1].number, other.cells[-1].name),)

    def aliases(self, model: str) -> dict[str, str]:
        """Return where the registry says that the aliases of a model point."""
        found = dict(self._world.models[model].aliases)
        made = [i.id for i in self._world.instances.values() if i.model == model]
        if found.get("production") in made[1:] and self._slips("alias", model):
            found["production"] = made[made.index(found["production"]) - 1]
        return found

    def members(self, team: str) -> tuple[str, ...]:
        """Return whom the directory lists in a team: some are not there yet, others still are."""
        everybody = sorted(self._world.users)
        return tuple(
            dict.fromkeys(
                self._dice("who else", f"{team} {member}").choice(everybody)
                if self._slips("member", f"{team} {member}")
                else member
                for member in self._world.teams[team].members
            )
        )

    # -- code ------------------------------------------------------------------------------------

    def written_in(self, pipeline: str) -> str:
        """Return the file in the one repository in which a pipeline is written."""
        return f"{_slug(pipeline)}/job.py"

    def code_owners(self) -> str:
        """Return the CODEOWNERS file of the repository, a line for each pipeline."""
        lines = ["# Who must approve a change of which job."]
        for pipeline in sorted(self._world.pipelines):
            if self._slips("no line", pipeline):
                continue
            owners: tuple[Thing, ...] = self._world.pipelines[pipeline].owners
            if self._slips("old line", pipeline):
                teams = sorted(t.id for t in self._world.teams.values() if t.parent)
                owners = (("team", self._dice("before", pipeline).choice(teams)),)
            names = " ".join(f"@{'estate/' * (kind == 'team')}{name}" for kind, name in owners)
            lines.append(f"/{_slug(pipeline)}/ {names}")
        return "\n".join(lines) + "\n"

    # -- dice ------------------------------------------------------------------------------------

    def _slips(self, what: str, ident: str) -> bool:
        return self._dice(what, ident).random() < self._share

    def _dice(self, what: str, ident: str) -> Random:
        return Random(f"{self._seed} {what} {ident}")  # noqa: S311 - no secret


def digest(text: str) -> str:
    """Return a digest as tools write one, made of a name instead of a content."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _slug(pipeline: str) -> str:
    """Return a folder's name without anything that a CODEOWNERS pattern would read otherwise."""
    return re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")
