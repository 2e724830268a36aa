"""A declared source that is read from files: every item a document, every document a record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path

from msgspec import structs

from lineal.errors import ConfigError, FileRefused, Invalid, SourceError
from lineal.model import Instant, Record, Uri
from lineal.sources import Fetched, Key, Refused, mapping
from lineal.sources.allowed import Fields
from lineal.sources.expressions import truth
from lineal.sources.grouping import Overflow, grouped
from lineal.sources.http import now
from lineal.sources.plan import FilePlan, SourcePlan
from lineal.sources.readers import Item, Progress, form, read, stem


class FileSource:
    """A snapshot source that is declared by a file and read from a folder."""

    def __init__(self, plan: SourcePlan, *, clock: Callable[[], Instant] = now) -> None:
        """Read nothing yet; *clock* says when a snapshot was taken."""
        if not plan.files:
            raise ConfigError(f"The source {plan.name} is asked over HTTP.", fix="Use HttpSource.")
        self._plan, self._clock = plan, clock
        self._fields = Fields(plan.written.resources, plan.written.files)

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

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*, None if this source has none."""
        return self._plan.key_of(uri)

    def subject(self, key: Key) -> Uri:
        """Return the URI of the thing that the document is about; raises `Invalid`."""
        return self._plan.subject(key)

    @property
    def unfit(self) -> Mapping[str, str]:
        """What becomes of a document of which something does not fit, by its sort."""
        return structs.asdict(self._plan.written.unfit)

    def snapshot(
        self, root: str | PathLike[str], progress: Progress | None = None
    ) -> Iterator[Record | Refused]:
        """
        Yield what the files below *root* say, and what of them is refused.

        A refusal without an index is of a whole file: then the snapshot is not whole, and what it
        lacks may still be there. All records are observed at the same instant.

        Raises:
            FileRefused: *root* is no folder.
        """
        for found in self.told(root, progress):
            if isinstance(found, Refused):
                yield found
            elif found.record is not None:
                yield found.record

    def told(
        self, root: str | PathLike[str], progress: Progress | None = None
    ) -> Iterator[Fetched | Refused]:
        """Yield the same as `snapshot`, each record with the fields that nothing maps."""
        folder = Path(root)
        if not folder.is_dir():
            raise FileRefused("This is not a folder.", file=str(root), fix="Name the folder.")
        at = self._clock()
        seen: set[bytes] = set()
        for plan in self._plan.files:
            for found in self._items(plan, folder, progress):
                if isinstance(found, Refused):
                    yield found
                else:
                    yield self._record(plan, found, at, seen)

    def _record(
        self, plan: FilePlan, item: Item, at: Instant, seen: set[bytes]
    ) -> Fetched | Refused:
        resource = self._plan.resources[plan.rule.resource]
        try:
            key = mapping.key_in(self._plan, resource.name, resource.key, item.value, item.value)
            record = mapping.record(
                self._plan, key, item.value, observed_at=at,
                raw=self._fields.kept(key.resource, item.value),
            )  # fmt: skip
        except (Invalid, SourceError) as error:
            return Refused(item.file, item.index, str(error))
        mark = hashlib.blake2b(key.document.encode(), digest_size=12).digest()
        if mark in seen:
            return Refused(
                item.file,
                item.index,
                f"The document {key.document} occurs twice; the first counts.",
            )
        seen.add(mark)
        return Fetched(key, record, unmapped=self._fields.unmapped(key.resource, item.value))

    # ── Items ──

    def _items(
        self, plan: FilePlan, root: Path, progress: Progress | None
    ) -> Iterator[Item | Refused]:
        paths = matching(root, plan.rule.path)
        if not paths:
            yield Refused(plan.rule.path, None, "There is no such file.")
        items = _chosen(plan, self._read(plan, root, paths, progress))
        if plan.group_by is None:
            yield from items
            return
        try:
            yield from grouped(items, plan.group_by)
        except Overflow as error:
            yield Refused(plan.rule.path, None, str(error))

    def _read(
        self, plan: FilePlan, root: Path, paths: Iterable[Path], progress: Progress | None
    ) -> Iterator[Item | Refused]:
        for path in paths:
            name = path.relative_to(root).as_posix()
            format = plan.rule.format or form(path)
            if format is None:
                yield Refused(name, None, "Its ending does not tell its format; say `format:`.")
                continue
            for found in read(path, name, format, progress):
                yield from _named(plan, path, found)


def matching(root: Path, pattern: str) -> list[Path]:
    """Return the files below *root* that *pattern* means, in order; links do not lead out."""
    base = root.resolve()
    return sorted(
        path
        for path in root.glob(pattern)
        if path.is_file() and path.resolve().is_relative_to(base)
    )


def _named(plan: FilePlan, path: Path, found: Item | Refused) -> Iterator[Item | Refused]:
    """Put the file's name and path in, and open the list of items if there is one."""
    if isinstance(found, Refused):
        yield found
        return
    value = found.value
    if plan.rule.name_as and isinstance(value, dict):
        value = {**value, plan.rule.name_as: stem(path)}
    if plan.rule.path_as and isinstance(value, dict):
        value = {**value, plan.rule.path_as: found.file}
    if plan.items is None:
        yield Item(found.file, found.index, value)
        return
    try:
        items = plan.items(value, value)
    except Invalid as error:
        yield Refused(found.file, found.index, str(error))
        return
    if not isinstance(items, list):
        yield Refused(found.file, found.index, f"{plan.items.text!r} is no list.")
        return
    for index, item in enumerate(items):
        yield Item(found.file, index, item)


def _chosen(plan: FilePlan, items: Iterable[Item | Refused]) -> Iterator[Item | Refused]:
    when = plan.when
    for item in items:
        if isinstance(item, Refused):
            yield item
        elif not isinstance(item.value, dict) and plan.group_by is None:
            yield Refused(item.file, item.index, "The item is not a mapping of names to values.")
        else:
            try:
                if when is None or truth(when(item.value, item.value)):
                    yield item
            except Invalid as error:
                yield Refused(item.file, item.index, str(error))


__all__ = ["FileSource", "Progress", "matching"]
