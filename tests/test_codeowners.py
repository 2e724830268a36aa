"""Who reviews code: CODEOWNERS files read as their hosts read them, and what follows from them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.sources.codeowners import CodeOwners, Dialect

# ── Patterns ─────────────────────────────────────────────────────────────────────────────────────


def fits(pattern: str, dialect: Dialect, paths: str) -> list[str]:
    """Return which of *paths*, parted by bars, a pattern fits."""
    owners = CodeOwners.read(f"{pattern} @alice", dialect)
    return [path for path in paths.split("|") if owners.of(path)]


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("*", "a.py|x/y/a.py", ""),
        ("**", "a.py|x/y/a.py", ""),
        ("*.py", "a.py|x/a.py|x/.py", "a.pyc|a.py.md"),
        ("/build/logs/", "build/logs|build/logs/a|build/logs/x/a", "x/build/logs/a|build/log/a"),
        ("docs/*", "docs/a.md", "docs/x/a.md|x/docs/a.md|docs"),
        ("apps/", "apps/a|x/apps/a|x/apps/y/a", "myapps/a"),
        ("/docs/", "docs/a|docs/x/a", "x/docs/a"),
        ("/scripts", "scripts|scripts/a|scripts/x/a", "x/scripts|scripts.py"),
        ("**/logs", "logs|x/logs|x/y/logs/a", "x/logs.txt"),
        ("docs/**", "docs/a|docs/x/a", "docs|x/docs/a"),
        ("a/**/b", "a/b|a/x/b|a/x/y/b/c", "a/xb|x/a/b"),
        ("a/**/b/**/c", "a/b/c|a/x/b/y/b/z/c", "a/c/b|a/b/x"),
        ("dags/x*y*z.py", "dags/xyz.py|dags/x-y-y-z.py", "dags/xz.py|dags/x/y/z.py"),
        ("?.py", "a.py|x/b.py", "ab.py|.py"),
        ("my\\ dags/", "my dags/a|my dags", "my/dags/a|my|my\\ dags/a"),
        ("a.b", "a.b", "axb"),
    ],
)
def test_patterns_fit_as_github_says(pattern, fitting, other):
    assert fits(pattern, "github", f"{fitting}|{other}".strip("|")) == fitting.split("|")


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("docs/*", "docs/a.md|x/docs/a.md", "docs/x/a.md"),
        ("/docs", "docs", "docs/a.md|x/docs"),
        ("lib/", "lib/a|x/lib/y/a", "libs/a"),
        ("/docs/**/*.md", "docs/a.md|docs/x/a.md", "docs/a.py"),
        ("\\#a.rb", "#a.rb|x/#a.rb", "a.rb"),
        ("a b", "a|x/a", "a b"),
        ("/", "a|x/a", ""),
    ],
)
def test_patterns_fit_as_gitlab_says(pattern, fitting, other):
    assert fits(pattern, "gitlab", f"{fitting}|{other}".strip("|")) == fitting.split("|")


@pytest.mark.parametrize(
    ("pattern", "is_default"),
    [("*", True), ("**", True), ("/*", True), ("*.py", False), ("/docs/", False), ("?", False)],
)
def test_of_a_whole_repository_is_said_what_holds_of_any_file_in_it(pattern, is_default):
    assert bool(CodeOwners.read(f"{pattern} @alice", "github").of("")) is is_default


GITHUB = """\
# The default.
*            @acme/ml
*.py         @acme/python alice@acme.example  # both are asked
/dags/       @bob
/dags/old/
!/dags/x     @nobody
/dags/[xy]   @nobody
\\#dags/      @nobody
/dags/*.py   nobody
"""


@pytest.mark.parametrize(
    ("path", "line", "owners"),
    [
        ("README.md", 2, ("@acme/ml",)),
        ("x/a.py", 3, ("@acme/python", "alice@acme.example")),
        ("dags/a.py", 4, ("@bob",)),
        ("dags/old/a.py", 5, ()),
    ],
)
def test_the_last_line_that_fits_counts_and_may_name_nobody(path, line, owners):
    (found,) = CodeOwners.read(GITHUB, "github").of(path)

    assert (found.number, found.owners) == (line, owners)


GITLAB = """\
* @acme
[Data][2] @acme/data
/dags/
*.sql @sql @@maintainer
!/dags/gone.py
/dags/gone.py @late
^[docs] @writer
*.md
[DATA]
*.md @editor
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.py", {("", "@acme", False)}),
        ("dags/a.py", {("", "@acme", False), ("Data", "@acme/data", False)}),
        ("dags/a.sql", {("", "@acme", False), ("Data", "@sql", False)}),
        ("dags/gone.py", {("", "@acme", False)}),
        (
            "dags/a.md",
            {("", "@acme", False), ("docs", "@writer", True), ("DATA", "@editor", False)},
        ),
    ],
)
def test_every_section_of_gitlab_says_who_reviews(path, found):
    lines = CodeOwners.read(GITLAB, "gitlab").of(path)

    assert {(one.section, owner, one.optional) for one in lines for owner in one.owners} == found


@given(st.text("ab/*?.\\ #[]!@^", max_size=60), st.text("ab/.", max_size=20))
def test_no_text_is_wrong(text, path):
    for dialect in ("github", "gitlab"):
        CodeOwners.read(text, dialect).of(path)


def test_no_pattern_takes_long():
    """A file that anybody may change must not keep us busy."""
    wild = "/".join(["*a" * 40, *(["**", "b*b*b*c"] * 20)])
    owners = CodeOwners.read(f"{wild} @alice", "github")
    began = time.monotonic()

    assert not owners.of("/".join(["a" * 250 + "c", *(["b" * 100] * 17)]))
    assert time.monotonic() - began < 1
