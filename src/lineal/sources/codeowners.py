"""What a CODEOWNERS file says of a path: its lines, their patterns, and which of them count.

GitHub's and GitLab's readings differ, and each has a name here. Pure. A line that its host would
not read is left out, as there.

https://docs.github.com/repositories (About code owners)
https://docs.gitlab.com/user/project/codeowners/reference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Dialect: TypeAlias = Literal["github", "gitlab"]

#: A word: anything but blanks, where a back-slash takes the next letter as it is.
_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_OWNER = re.compile(r"@[\w.-]+(?:/[\w.-]+)*|[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
#: A name that no file has: only what fits any file fits it.
_ANY = "\0\0"
_NOT_ON_GITHUB = re.compile(r"^!|^\\#|\[|\*\*\*")
#: GitLab's heads of sections: `^` for optional, a name, how many must approve, default owners.
_SECTION = re.compile(r"(\^?)\[([^\]]+)\](?:\[\d+\])?(?:\s+(.*))?")


@dataclass(frozen=True, slots=True)
class Line:
    """A pattern and whom it names; nobody: what it fits has no reviewer."""

    number: int
    pattern: str
    owners: tuple[str, ...]
    #: The name of GitLab's section, and whether its approval may be lacking.
    section: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    line: Line
    fits: Callable[[str], object]
    #: GitLab: what fits has no reviewer of this section, whatever follows.
    excludes: bool = False


@dataclass(frozen=True, slots=True)
class CodeOwners:
    """One file, read once and asked often."""

    #: By section, the last line first.
    _sections: tuple[tuple[_Rule, ...], ...]

    @classmethod
    def read(cls, text: str, dialect: Dialect) -> CodeOwners:
        """Return what *text* says; no text is wrong, only lines of it may mean nothing."""
        found: dict[str, list[_Rule]] = {}
        for rule in (_github if dialect == "github" else _gitlab)(text):
            found.setdefault(rule.line.section.lower(), []).append(rule)
        return cls(tuple(tuple(reversed(rules)) for rules in found.values()))

    def __bool__(self) -> bool:
        """Whether any line names anybody."""
        return any(rule.line.owners for rules in self._sections for rule in rules)

    def of(self, path: str) -> tuple[Line, ...]:
        r"""
        Return the lines that say who reviews *path*: the last that fits, of each section.

        No path is the whole repository: there, what fits a file of any name counts.

        >>> CodeOwners.read("* @acme/ml\n/docs/  # nobody", "github").of("docs/a.md")[0].owners
        ()
        """
        found = (_last(rules, path or _ANY) for rules in self._sections)
        return tuple(line for line in found if line is not None)


def _last(rules: tuple[_Rule, ...], path: str) -> Line | None:
    fitting = [rule for rule in rules if rule.fits(path)]
    if not fitting or any(rule.excludes for rule in fitting):
        return None
    return fitting[0].line


# ── GitHub ───────────────────────────────────────────────────────────────────────────────────────


def _github(text: str) -> Iterator[_Rule]:
    for number, pattern, words in _lines(text):
        owners = tuple(word for word in words if _OWNER.fullmatch(word))
        steps = _steps(pattern)
        # A line with a mistake is left out, not half of it.
        if not steps or len(owners) < len(words) or _NOT_ON_GITHUB.search(pattern):
            continue
        if "/" not in pattern.rstrip("/"):
            steps.insert(0, "**")
        fits = _matcher(steps, below=not pattern.endswith("/*"))
        yield _Rule(Line(number, pattern, owners), fits)


# ── GitLab ───────────────────────────────────────────────────────────────────────────────────────


def _gitlab(text: str) -> Iterator[_Rule]:
    section, optional, default = "", False, tuple[str, ...]()
    for number, pattern, words in _lines(text):
        if head := _SECTION.fullmatch(" ".join((pattern, *words))):
            section, optional = head[2].strip(), bool(head[1])
            default = _owners((head[3] or "").split())
            continue
        excludes, plain = pattern.startswith("!"), pattern.removeprefix("!")
        steps = _steps(plain) or ["*"]
        if not plain.startswith("/"):
            steps.insert(0, "**")
        line = Line(number, pattern, _owners(words) or default, section, optional)
        yield _Rule(line, _matcher(steps, below=plain.endswith("/")), excludes)


def _owners(words: list[str]) -> tuple[str, ...]:
    return tuple(word for word in words if _OWNER.fullmatch(word))


# ── Lines and patterns ───────────────────────────────────────────────────────────────────────────


def _lines(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Go through the lines that are no comments: number, pattern, and the words after it."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        words = _WORD.findall(line)
        comment = next((at for at, word in enumerate(words) if word.startswith("#")), len(words))
        if comment:
            yield number, words[0], words[1:comment]


def _steps(pattern: str) -> list[str]:
    steps = [step for step in pattern.split("/") if step]
    return [*steps, "*"] if steps[-1:] == ["**"] else steps


def _matcher(steps: list[str], *, below: bool) -> Callable[[str], object]:
    """
    Return what fits *steps*, of which `**` is any number; *below*: and all that lies in that.

    What follows a `**` is sought from the left once and for all (an atomic group), so that no
    pattern takes long: whatever it leaves, the next `**` takes.
    """
    first, *others = _parted(steps, "**")
    middle = "".join(f"(?>(?:[^/]+/)*?{_walk(some)})" for some in others[:-1])
    last = f"(?:[^/]+/)*{_walk(others[-1])}" if others else ""
    tail = "(?:/.*)?" if below else ""
    expression = f"{_walk(first)}{middle}{last}".removesuffix("/") + tail
    return re.compile(expression, re.DOTALL).fullmatch


def _walk(steps: list[str]) -> str:
    return "".join(f"{_step(step)}/" for step in steps)


def _step(step: str) -> str:
    """Return the expression of one step, whose wildcards never reach into another."""
    if step == "*":
        return "[^/]+"
    letters = re.findall(r"\\.|\*+|.", step, re.DOTALL)
    stars = ["*" if one[0] == "*" else one for one in letters]
    first, *others = ["".join(map(_letter, some)) for some in _parted(stars, "*")]
    middle = "".join(f"(?>[^/]*?{some})" for some in others[:-1])
    return f"{first}{middle}" + (f"[^/]*{others[-1]}" if others else "")


def _letter(one: str) -> str:
    return "[^/]" if one == "?" else re.escape(one[1:] if len(one) > 1 else one)


def _parted(some: list[str], mark: str) -> list[list[str]]:
    """Part a list at each *mark*."""
    found: list[list[str]] = [[]]
    for one in some:
        if one == mark:
            found.append([])
        else:
            found[-1].append(one)
    return found
