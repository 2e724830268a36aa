"""Looking after an installation over HTTP: dead letters, sources, rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Unpack
from urllib.parse import quote

from lineal.client.answers import Answer, Json, RuleEdge, Times, Value
from lineal.client.errors import ClientError
from lineal.client.walks import Parameter


class Keeping(ABC):
    """What those ask and do who look after an installation."""

    @abstractmethod
    def _ask(self, path: str, **parameters: Parameter) -> Answer[Value]:
        """Ask the server, and return its answer."""

    @abstractmethod
    def _get(self, path: str, parameters: Mapping[str, Parameter]) -> dict[str, Json]:
        """Read from the server."""

    @abstractmethod
    def _do(self, path: str, said: Mapping[str, Json]) -> dict[str, Json]:
        """Have the server do something."""

    def findings(self, source: str) -> dict[str, Json]:
        """Return what of a source's documents does not fit, and in how many of them."""
        return self._get(f"/sources/{quote(source, safe='')}/findings", {})

    def dead_letters(self, *, source: str | None = None, limit: int = 100) -> dict[str, Json]:
        """Return what could not be taken in, newest first."""
        return self._get("/dead-letters", {"source": source, "limit": limit})

    def dead_letter(self, number: int) -> dict[str, Json]:
        """Return one thing that could not be taken in."""
        return self._get(f"/dead-letters/{number}", {})

    def deeds(self, *, limit: int = 100) -> dict[str, Json]:
        """Return who released, replayed or purged what, newest first."""
        return self._get("/deeds", {"limit": limit})

    def replay(
        self,
        ids: Sequence[int] | None = None,
        *,
        source: str | None = None,
        every: bool = False,
        actor: str,
    ) -> dict[str, Json]:
        """Take up dead letters again, as they are: these, all of a source, or *every* one."""
        said = _chosen(ids, source, every) | {"actor": actor}
        return self._do("/dead-letters/replay", said)

    def purge(
        self,
        ids: Sequence[int] | None = None,
        *,
        source: str | None = None,
        every: bool = False,
        actor: str,
        reason: str,
    ) -> dict[str, Json]:
        """Throw dead letters away for good: these, all of a source, or *every* one."""
        said: dict[str, Json] = {"actor": actor, "reason": reason}
        return self._do("/dead-letters/purge", _chosen(ids, source, every) | said)

    def release(self, source: str, *, actor: str, reason: str) -> dict[str, Json]:
        """Let the removals go that are held back of a source; each is asked for once more."""
        said: dict[str, Json] = {"actor": actor, "reason": reason}
        return self._do(f"/sources/{quote(source, safe='')}/release", said)

    def sweep(self, source: str) -> dict[str, Json]:
        """Let the server list a source as soon as it can."""
        return self._do(f"/sources/{quote(source, safe='')}/sweep", {})

    # ── Rules ────────────────────────────────────────────────────────────────────────────────

    def rules(self) -> dict[str, Json]:
        """Return every rule, how it stands, and how much they have still to do."""
        return self._get("/rules", {})

    def rule(self, name: str) -> dict[str, Json]:
        """Return one rule: what it says, how it stands, and where it fails."""
        return self._get(f"/rules/{_rule(name)}", {})

    def rule_edges(
        self, name: str, *, limit: int | None = None, **times: Unpack[Times]
    ) -> Answer[list[RuleEdge]]:
        """Return edges that stand by a rule, each with a reason."""
        return self._ask(f"/rules/{_rule(name)}/edges", limit=limit, **times)

    def dry_run(
        self, name: str | None = None, *, text: str | None = None, file: str | None = None
    ) -> dict[str, Json]:
        """
        Return what a rule would give over all that is known now; nothing is written.

        It is one that is in use, by *name*, or the *text* of a file, which errors call *file*.
        """
        said: dict[str, Json] = {"name": name, "text": text, "file": file}
        return self._do(
            "/rules/dry-run", {key: value for key, value in said.items() if value is not None}
        )

    def switch_rule(
        self, name: str, *, enabled: bool, actor: str, reason: str = ""
    ) -> dict[str, Json]:
        """Let a rule conclude, or have all that it concluded withdrawn, in the background."""
        deed = "enable" if enabled else "disable"
        said: dict[str, Json] = {"actor": actor, "reason": reason}
        return self._do(f"/rules/{_rule(name)}/{deed}", said)


def _chosen(ids: Sequence[int] | None, source: str | None, every: bool) -> dict[str, Json]:
    return {"ids": None if ids is None else list(ids), "source": source, "all": every}


def _rule(name: str) -> str:
    if not name.replace("_", "").isalnum():
        raise ClientError("invalid", f"{name!r} is no name of a rule.", "See `rules`.")
    return name
