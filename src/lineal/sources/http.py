"""A declared source that is asked over HTTP: events, documents, lists."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import httpx2
from msgspec import structs

from lineal.errors import (
    ConfigError,
    Invalid,
    InvalidEvent,
    SourceError,
    SourceGarbled,
    SourceGone,
    SourceMoved,
)
from lineal.model import Instant, Json, Record, Uri
from lineal.points import reached
from lineal.sources import Fetched, Habits, Key, Listed, Marked, mapping, schedule
from lineal.sources.addressing import Addresses
from lineal.sources.asking import Client
from lineal.sources.beside import Beside, Page
from lineal.sources.expressions import truth
from lineal.sources.paging import pages
from lineal.sources.plan import (
    EventPlan,
    FetchPlan,
    ListPlan,
    ResourcePlan,
    SourcePlan,
    TogetherPlan,
)
from lineal.sources.wording import Wording

#: What a list answers whose next page is not known any more: its token has run out.
_MOVED = frozenset({400, 404, 409, 410, 422})


def now() -> Instant:
    """Return this instant by the system's clock."""
    return time.time_ns() // 1_000


def no_secrets(reference: str) -> NoReturn:
    """Refuse to look up *reference*: nobody said how."""
    raise ConfigError(f"The secret {reference!r} cannot be looked up here.")


class HttpSource:
    """A `FetchedSource` that is declared by a file and asked over HTTP. Use from any thread."""

    def __init__(
        self,
        plan: SourcePlan,
        *,
        secret: Callable[[str], str] = no_secrets,
        clock: Callable[[], Instant] = now,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """
        Open no connection yet.

        *secret* gives the value of a reference such as ``env:TOKEN``; *sleep* lets seconds go by
        on *clock*; *transport* replaces the guarded one, for tests.
        """
        if plan.written.base_url is None:
            raise ConfigError(
                f"The source {plan.name} is read from files.", fix="Use FileSource for it."
            )
        self._plan = plan
        self._client = Client(
            plan, secret=secret, clock=clock, sleep=sleep, transport=transport
        )  # fmt: skip
        self._habits = _habits(plan)
        self._addresses = Addresses(plan)
        self._wording = Wording(plan, self._addresses)

    @property
    def name(self) -> str:
        """The source's name, unique in an installation."""
        return self._plan.name

    @property
    def plan(self) -> SourcePlan:
        """What the source's file says."""
        return self._plan

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs whose things this source is registered to describe."""
        return self._plan.described

    @property
    def habits(self) -> Habits:
        """How the source wants to be asked."""
        return self._habits

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """Return the documents that an event marks; raises `InvalidEvent`."""
        event: Json = dict(body)
        for rule in self._plan.events:
            if _fits(rule, event):
                return self._marked(rule, event)
        raise InvalidEvent(
            f"{self.name} knows no such event: {str(event)[:200]}.",
            fix=f"Add a rule for it to {self._plan.file}, with `ignore: true` if it means nothing.",
        )

    def _marked(self, rule: EventPlan, event: Json) -> tuple[Marked, ...]:
        if rule.resource is None:
            return ()
        try:
            items = [event] if rule.each is None else rule.each(event, event)
            if not isinstance(items, list):
                raise Invalid(f"{rule.each!r} gives no list.")
            found = []
            for item in items:
                key = mapping.key_in(self._plan, rule.resource, rule.key, item, event)
                self._addresses.of(key)
                deleted = (
                    rule.deleted
                    if isinstance(rule.deleted, bool)
                    else truth(rule.deleted(item, event))
                )
                found.append(Marked(key, deleted, mapping.rank(rule.version, item, event)))
        except Invalid as error:
            raise InvalidEvent(f"{self.name}: {error.message} In {str(event)[:200]}.") from error
        return tuple(found)

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*, None if this source has none."""
        return self._plan.key_of(uri)

    def subject(self, key: Key) -> Uri:
        """Return the URI of the thing that the document is about; raises `Invalid`."""
        return self._plan.subject(key)

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        """
        Ask for one document, or whether it changed since *etag*.

        Raises:
            Invalid: the key cannot be one of this source's.
            SourceDown: the source does not answer, or not now.
            SourceGone: the source says that there is no such document.
            SourceGarbled: the answer is not what the file promises.
        """
        fetch, path, params = self._addresses.of(key)
        answer = self._client.ask(path, params, etag=etag)
        reached("fetched")
        if not answer.changed:
            return Fetched(key, None, etag)
        document = self._document(key, fetch, answer.document)
        return self._wording.fetched(key, document, answer.response)

    def reword(self, key: Key, raw: Mapping[str, Json], at: Instant) -> Record:
        """Word a document anew from what was kept of it; raises `SourceGarbled`."""
        return mapping.record(self._plan, key, dict(raw), observed_at=at, raw=raw)

    def fetch_many(self, keys: Sequence[Key]) -> dict[Key, Fetched | SourceGarbled]:
        """
        Ask for several documents of one resource by one request, where it can be asked so.

        What the answer does not hold, or where it cannot be read, is left out: each of those is
        asked for alone, and then tells whether it is gone.

        Raises:
            SourceDown: the source does not answer, or not now.
        """
        found: dict[Key, Fetched | SourceGarbled] = {}
        for name in {key.resource: None for key in keys}:
            resource = self._plan.resources.get(name)
            if resource is not None and resource.batch is not None:
                some = [key for key in keys if key.resource == name]
                with contextlib.suppress(SourceGone, SourceGarbled):
                    found |= self._together(resource, resource.batch, some)
        return found

    def _together(
        self, resource: ResourcePlan, plan: TogetherPlan, keys: Sequence[Key]
    ) -> dict[Key, Fetched | SourceGarbled]:
        wanted = frozenset(keys)
        parts = {resource.key.parts(key.id)[resource.key.names[0]]: key for key in keys}
        given = plan.separator.join(parts) if plan.separator else list(parts)
        answer = self._client.ask(plan.path, {**plan.params, plan.param: given})
        # The ETag is that of the whole answer, and says nothing of one document.
        response = replace(answer.response, etag=None)
        reached("fetched")
        try:
            items = plan.items(answer.document, answer.document)
        except Invalid as error:
            raise SourceGarbled(f"{self.name}: {error.message}") from error
        found: dict[Key, Fetched | SourceGarbled] = {}
        for item in items if isinstance(items, list) else []:
            try:
                key = mapping.key_in(self._plan, resource.name, resource.key, item, item)
            except Invalid:
                continue
            if key in wanted:
                try:
                    found[key] = self._wording.fetched(key, item, response)
                except SourceGarbled as error:
                    found[key] = error
        return found

    def _document(self, key: Key, fetch: FetchPlan, answer: Json) -> Json:
        """Return the document in the answer, made sure that it is the one asked for."""
        resource = self._plan.resources[key.resource]
        try:
            document = fetch.item(answer, answer)
            if not isinstance(document, dict):
                raise Invalid("The answer holds no document.")
            if fetch.verify:
                found = mapping.key_in(self._plan, key.resource, resource.key, document, document)
                if found != key:
                    raise Invalid(f"The answer is about {found.id!r}.")
        except Invalid as error:
            raise SourceGarbled(
                f"{self.name}: the answer for {key.document} is not as expected: {error.message}",
                fix=f"Compare it with {self._plan.file}.",
            ) from error
        return document

    def list(self) -> Generator[Listed]:
        """List everything, page by page; raises `SourceDown`, `SourceGarbled`, `SourceMoved`."""
        with Beside(self._plan, self._wording) as beside:
            for resource in self._plan.resources.values():
                if resource.list is not None:
                    yield from self._listed(beside, resource.name, resource.list)

    def _listed(self, beside: Beside, name: str, plan: ListPlan) -> Iterator[Listed]:
        found = self._pages(name, plan)
        if plan.full:
            lines = beside.listed(found)
        else:
            lines = (line for page in found for line in self._wording.listed(*page))
        seen: set[str] = set()
        for listed in lines:
            if listed.key.id not in seen:
                seen.add(listed.key.id)
                yield listed

    def _pages(self, name: str, plan: ListPlan) -> Iterator[Page]:
        begun = False
        try:
            for items, answer in pages(self._client, self.name, plan):
                begun = True
                # The ETag is that of the whole page, and says nothing of one document.
                yield Page(name, items, replace(answer.response, etag=None))
        except SourceError as error:
            if begun and error.status in _MOVED:
                raise SourceMoved(
                    f"{self.name}: the list at {plan.path} cannot be gone on with: {error.message}",
                    fix="It is begun again.",
                ) from error
            raise

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _habits(plan: SourcePlan) -> Habits:
    """Return how the source's file says that it wants to be asked."""
    spec = plan.written
    sweep = schedule.nightly(plan.name) if spec.sweep is None else spec.sweep
    lists = any(one.list is not None for one in plan.resources.values())
    return Habits(
        places=spec.limits.concurrency,
        batches={
            name: one.batch.size for name, one in plan.resources.items() if one.batch is not None
        },
        timeout=spec.limits.timeout + spec.limits.concurrency / spec.limits.requests_per_second,
        looks=tuple(spec.second_look),
        sweep=sweep if lists and sweep != schedule.NEVER else None,
        unfit=structs.asdict(spec.unfit),
    )


def _fits(rule: EventPlan, event: Json) -> bool:
    assert isinstance(event, dict)
    for name, allowed in rule.match.items():
        if name not in event or not any(_same(event[name], value) for value in allowed):
            return False
    return rule.when is None or _holds(rule, event)


def _same(found: Json, allowed: Json) -> bool:
    return found == allowed and isinstance(found, bool) == isinstance(allowed, bool)


def _holds(rule: EventPlan, event: Json) -> bool:
    assert rule.when is not None
    try:
        return truth(rule.when(event, event))
    except Invalid:
        return False
