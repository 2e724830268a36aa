"""Documents of a declared source as they were answered, in our words: one, or a page of a list.

Pure: the same documents give the same words, in whatever process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from lineal.errors import Invalid, SourceGarbled
from lineal.model import Json, Response
from lineal.sources import Fetched, Key, Listed, mapping
from lineal.sources.addressing import Addresses
from lineal.sources.allowed import Fields
from lineal.sources.plan import SourcePlan


class Wording:
    """Words the documents of one source. Use from any thread."""

    def __init__(self, plan: SourcePlan, addresses: Addresses) -> None:
        self._plan, self._addresses = plan, addresses
        self._fields = Fields(plan.written.resources)

    def fetched(self, key: Key, document: Json, response: Response) -> Fetched:
        """Return what a document says that was answered; raises `SourceGarbled`."""
        record = mapping.record(
            self._plan, key, document, observed_at=response.at, response=response,
            raw=self._fields.kept(key.resource, document),
        )  # fmt: skip
        path = self._plan.resources[key.resource].version
        try:
            version = mapping.rank(path, document, document)
        except Invalid as error:
            raise SourceGarbled(
                f"{self._plan.name}: the version of {key.document} is not as expected: "
                f"{error.message}"
            ) from error
        unmapped = self._fields.unmapped(key.resource, document)
        return Fetched(key, record, response.etag, version, unmapped)

    def listed(self, name: str, items: Sequence[Json], response: Response) -> Iterator[Listed]:
        """
        Yield what a page of the list of a resource says, line by line.

        *response* is that of the page, without its ETag, which says nothing of one document.

        Raises:
            SourceGarbled: an item names no document that could be asked for.
        """
        resource = self._plan.resources[name]
        plan = resource.list
        assert plan is not None
        for at, item in enumerate(items):
            try:
                key = mapping.key_in(self._plan, name, plan.key, item, item)
                self._addresses.of(key)
                version = plan.version(item, item) if plan.version else None
                whole = partial(self.fetched, key, item, response) if plan.full else None
                yield Listed(key, mapping.word(version, "version"), whole, response.at)
            except Invalid as error:
                raise SourceGarbled(
                    f"{self._plan.name}: item {at} of a page of {plan.path} is not as expected: "
                    f"{error.message}",
                    fix=f"Compare it with {self._plan.file}.",
                ) from error
