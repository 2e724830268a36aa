"""Seals a transaction again from the lines of an export, and holds that against its seal. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lineal.errors import Damaged
from lineal.store import lines, seals


class Sealing:
    """The seal of one transaction in the making."""

    def __init__(self, head: lines.Transaction) -> None:
        self._head = head
        # What was forgotten changed the rows, and they were sealed anew; the chain has the first.
        last = max(head.resealed, key=lambda one: one.at, default=head)
        self._root = bytes.fromhex(last.root)
        self._leaves = seals.Leaves(bytes.fromhex(last.salt))
        self._others = [
            seals.feed_line(head.changed),
            *(seals.forgotten_line(one.uri, one.how, one.reason) for one in head.forgot),
            *(seals.resealed_line(t, bytes.fromhex(root)) for t, root in head.anew),
        ]

    def add(self, owner: seals.Owner, said: lines.Said) -> None:
        """Add a row of a document."""
        if isinstance(said, lines.Answered):
            self._others.append(seals.response_line(owner, lines.text_of(said.body)))
        else:
            self._leaves.add(owner, _sealed(said))

    def check(self, named: Iterable[str], before: bytes) -> bytes:
        """
        Return the hash of the transaction; *named* are the things that it named first.

        Raises:
            Damaged: what it wrote, or its head, is not as it was sealed.
        """
        head = self._head
        root = seals.root(self._leaves.salt, self._leaves.sums(), named, self._others)
        if root != self._root:
            raise Damaged(
                f"What transaction {head.t} wrote is not as it was sealed.",
                fix="Restore a backup that is sound.",
            )
        written = bytes.fromhex(head.root)
        told = (head.t, head.instant, head.actor, head.cause, head.token)
        chained = seals.chained(before, *told, written)
        if chained.hex() != head.hash:
            raise Damaged(
                f"Transaction {head.t} does not follow the one before it: the chain is broken.",
                fix="Restore a backup that is sound.",
            )
        return chained


def _sealed(said: lines.Begun | lines.Ended) -> str:
    """Return what is sealed of a row."""
    match said:
        case lines.RecordBegun():
            body = lines.text_of(said.body)
            return seals.record_line(said.uri, said.valid_from, None, said.said, body)
        case lines.EdgeBegun():
            edge = (said.start, said.kind, said.end)
            times = (said.valid_from, said.valid_to, said.said)
            return seals.edge_line(
                *edge, *times, said.layer, lines.text_of(said.attributes) or None
            )
        case lines.DerivationBegun():
            edge, digest = (said.start, said.kind, said.end), bytes.fromhex(said.digest)
            return seals.derivation_line(
                edge, digest, said.valid_from, said.valid_to, said.supports, said.why
            )
        case lines.RecordEnded():
            what, name = "r", said.uri
        case lines.EdgeEnded():
            what, name = "e", "\n".join((said.start, said.kind, said.end))
        case lines.DerivationEnded():
            what, name = "d", "\n".join((said.start, said.kind, said.end, said.digest))
    return seals.ended_line(what, name, said.t, said.at, said.reason)
