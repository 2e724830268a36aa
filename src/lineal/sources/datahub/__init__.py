"""DataHub: what a file of its metadata change proposals says, one document for each aspect.

Files that `datahub ingest` writes with ``sink: file``. A file is a stream of changes, never the
whole: nothing is concluded from what it lacks, and it may come in any pieces.
Source: https://docs.datahub.com/docs/advanced/mcp-mcl.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lineal import normalise
from lineal.errors import Invalid
from lineal.model import Instant, Record
from lineal.sources import Refused
from lineal.sources.datahub.aspects import READ, Reading
from lineal.sources.datahub.files import Proposal, proposals
from lineal.sources.rewriting import with_rewrites

#: The source that DataHub's words are kept under, and the platform of what only it names.
SOURCE = "datahub"


def read(
    paths: Iterable[Path],
    *,
    platforms: normalise.Platforms = normalise.NO_ALIASES,
    observed_at: Instant,
) -> Iterator[Record | Refused]:
    """
    Go through what files and folders say, each aspect of each thing once, and what is refused.

    Of an aspect that is told twice the last counts, unless it says itself that it is older.
    """
    last: dict[tuple[str, str], Proposal] = {}
    for item in proposals(paths):
        if isinstance(item, Refused):
            yield item
        elif (item.kind, item.aspect) in READ:
            before = last.get(item.name)
            if before is None or (item.said_at or 0) >= (before.said_at or 0):
                last[item.name] = item
    for proposal in last.values():
        yield _record(proposal, platforms, observed_at)


def _record(
    proposal: Proposal, platforms: normalise.Platforms, observed_at: Instant
) -> Record | Refused:
    reading = Reading(proposal.urn, platforms)
    try:
        subject = reading.read(proposal.kind, proposal.aspect, proposal.value)
    except Invalid as error:
        return Refused(proposal.file, proposal.index, error.message, proposal.aspect)
    record = Record(
        SOURCE,
        f"{proposal.aspect}:{proposal.urn}",
        subject,
        tuple(reading.statements.values()),
        tuple(reading.edges.values()),
        observed_at,
        proposal.said_at,
    )
    return with_rewrites(record, platforms)


__all__ = ["SOURCE", "read"]
