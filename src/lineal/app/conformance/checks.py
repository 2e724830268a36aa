"""What a check of the conformance kit finds, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

#: `kept`: as promised. `noted`: worth a look. `broken`: the write path relies on it.
Verdict: TypeAlias = Literal["kept", "noted", "broken", "skipped"]

#: So many examples of one fault are told.
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of a source, and whether it keeps it."""

    name: str
    verdict: Verdict
    words: str
    #: What to do about it, where something is to be done.
    fix: str = ""


class Findings:
    """The checks of a run, in the order in which they were made."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks)

    def is_broken(self, name: str) -> bool:
        """Was this promise found to be broken?"""
        return any(one.name == name and one.verdict == "broken" for one in self._checks)

    def kept(self, name: str, words: str) -> None:
        """Note a promise that is kept."""
        self._checks.append(Check(name, "kept", words))

    def noted(self, name: str, words: str, fix: str = "") -> None:
        """Note something that is worth a look."""
        self._checks.append(Check(name, "noted", words, fix))

    def skipped(self, name: str, words: str) -> None:
        """Note what could not be tried."""
        self._checks.append(Check(name, "skipped", words))

    def broken(self, name: str, words: str, fix: str = "") -> None:
        """Note a promise that is broken."""
        self._checks.append(Check(name, "broken", words, fix))

    def judge(self, name: str, faults: Sequence[str], kept: str, fix: str = "") -> None:
        """Note a promise as kept where there are no *faults*, else as broken with the first."""
        if faults:
            self.broken(name, some(faults), fix)
        else:
            self.kept(name, kept)


def dice(seed: int, *words: str) -> Random:
    """Return the dice of one part of a run: the same seed throws the same."""
    return Random(" ".join([str(seed), *words]))  # noqa: S311  # nothing secret hangs on it


def some(faults: Sequence[str]) -> str:
    """
    Return the first of several faults, and how many more there are.

    >>> some(["a", "b"]), some(["a", "b", "c", "d", "e"])
    ('a; b', 'a; b; c; and 2 more')
    """
    told = "; ".join(faults[:_TOLD])
    more = len(faults) - _TOLD
    return f"{told}; and {more} more" if more > 0 else told
