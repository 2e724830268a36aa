"""Who reviews code: CODEOWNERS files read as their hosts read them, and what follows from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.app.conformance import examine
from lineal.config import Config
from lineal.errors import (
    ConfigError,
    InvalidEvent,
    SourceDown,
    SourceGarbled,
    SourceGone,
    SourceSpecError,
)
from lineal.model import Json, Layer, Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, Key
from lineal.sources.codeowners import CodeOwners, Dialect
from lineal.sources.compiling import load, parse
from lineal.sources.reviewers import CodeOwnersSource

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


# ── A file as a source ───────────────────────────────────────────────────────────────────────────

HOME = "mlg://code/github.com/acme/ml"
TRAIN = Uri(f"{HOME}/dags/train.py")
KEY = Key("code", "github.com/acme/ml/dags/train.py")
PIPELINE = Uri("mlg://pipeline/airflow/train")
DATA_TEAM, BOB = Uri("mlg://team/directory/data"), Uri("mlg://user/directory/bob")
ALICE = Uri("mlg://user/email/alice@acme.example")
SPEC = """\
source: acme-ml
codeowners: {repository: "git@github.com:acme/ml.git", file: CODEOWNERS}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a source's file and a CODEOWNERS file."""
    (tmp_path / "acme.yaml").write_text(SPEC, "utf-8")
    owners(tmp_path, "* @acme/ml", "/dags/ @acme/data alice@acme.example")
    return tmp_path


def owners(folder: Path, *lines: str) -> None:
    (folder / "CODEOWNERS").write_text("\n".join(lines), "utf-8")


def source(folder: Path) -> CodeOwnersSource:
    plan = load(folder / "acme.yaml", shapes=Shapes.builtin())
    return CodeOwnersSource(plan, clock=lambda: 7)


def told(found: Fetched | SourceGarbled) -> Record:
    assert isinstance(found, Fetched)
    assert found.record is not None
    return found.record


def reviewers(record: Record) -> dict[Uri, dict[str, Json]]:
    return {edge.end: dict(edge.attributes) for edge in record.edges}


def test_a_path_is_told_with_whoever_reviews_it_and_by_which_line(folder):
    reviewed = source(folder)
    record = told(reviewed.fetch(KEY))

    line = {"pattern": "/dags/", "line": 2}
    assert reviewers(record) == {DATA_TEAM: line, ALICE: line}
    assert record.subject == TRAIN
    assert reviewed.key_of(TRAIN) == KEY
    assert record.statements[0].attributes == {
        "name": "train.py", "path": "dags/train.py", "repository": "https://github.com/acme/ml"
    }  # fmt: skip


def test_the_repository_is_told_with_whoever_reviews_what_nobody_else_does(folder):
    reviewed = source(folder)
    (listed,) = reviewed.list()
    record = told(reviewed.fetch(listed.key))

    assert record.subject == HOME
    assert set(reviewers(record)) == {Uri("mlg://team/directory/ml")}


@pytest.mark.parametrize(
    "uri",
    [
        *("mlg://code/github.com/acme/web/dags/train.py", "mlg://code/gitlab.com/acme/ml/a.py"),
        *("mlg://code/github.com/acme", "mlg://pipeline/github.com/acme/ml/a.py"),
        "mlg://code/github.com/acme/ml/a%2Fb.py",
    ],
)
def test_code_of_other_repositories_is_not_its_own(folder, uri):
    assert source(folder).key_of(Uri(uri)) is None


def test_what_is_not_of_its_repository_is_gone_and_never_looked_up(folder):
    reviewed = source(folder)

    with pytest.raises(SourceGone):
        reviewed.fetch(Key("code", "github.com/acme/web/a.py"))
    with pytest.raises(SourceGone):
        reviewed.fetch(Key("model", "github.com/acme/ml/a.py"))
    assert not reviewed.fetch_many([Key("code", "github.com/acme/web/a.py")])


def test_an_answer_is_sent_again_only_when_it_changed(folder):
    reviewed = source(folder)
    first = reviewed.fetch(KEY)
    owners(folder, "* @acme/all", "/dags/ @acme/data alice@acme.example")

    assert reviewed.fetch(KEY, first.etag).record is None
    owners(folder, "* @acme/all", "/dags/ @bob")
    changed = reviewed.fetch(KEY, first.etag)
    assert set(reviewers(told(changed))) == {BOB}
    assert reviewed.fetch_many([KEY])[KEY] == changed


def test_a_path_is_worded_anew_from_the_lines_that_were_kept(folder):
    reviewed = source(folder)
    record = told(reviewed.fetch(KEY))
    (folder / "CODEOWNERS").unlink()

    assert record.raw is not None
    assert reviewed.reword(KEY, record.raw, 7) == record
    with pytest.raises(SourceGarbled):
        reviewed.reword(KEY, {"lines": 7}, 7)


@pytest.mark.parametrize(
    "content", [None, b"", b"# nobody\n/dags/\n", b"\xff\xfe* @acme/ml", b"* @a\n" * 300_000]
)
def test_a_file_that_cannot_be_read_or_names_nobody_is_down(folder, content):
    """Half a checkout must not look like code that nobody reviews."""
    (folder / "acme.yaml").write_text(f"{SPEC}limits: {{megabytes: 1}}", "utf-8")
    reviewed = source(folder)
    (folder / "CODEOWNERS").unlink()
    if content is not None:
        (folder / "CODEOWNERS").write_bytes(content)

    for asked in (
        lambda: reviewed.fetch(KEY),
        lambda: reviewed.fetch_many([KEY]),
        lambda: list(reviewed.list()),
    ):
        with pytest.raises(SourceDown):
            asked()


def test_it_has_no_events(folder):
    with pytest.raises(InvalidEvent, match="sweep"):
        source(folder).understand({"ref": "refs/heads/main"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("codeowners: {repository: /home/ml, file: x}", "no address of a repository"),
        ("codeowners: {repository: 'https://h/o/r'}", "either `file` or `path`"),
        ("codeowners: {repository: 'https://h/o/r', path: /x}", "`path` with a `base_url`"),
        ("base_url: https://h\ncodeowners: {repository: 'https://h/o/r', file: x}", "else `file`"),
        ("codeowners: {repository: 'https://h/o/r', file: x}\nevents: [{match: {a: b}, "
         "ignore: true}]", "no `events`"),
        ("base_url: https://h", "either `resources` or `codeowners`"),
    ],
)  # fmt: skip
def test_what_cannot_be_in_such_a_file_is_said(spec, message):
    with pytest.raises(SourceSpecError, match=message):
        parse(f"source: acme-ml\n{spec}")


# ── Asked for over HTTP ──────────────────────────────────────────────────────────────────────────

OVER_HTTP = """\
source: acme-ml
base_url: https://git.acme.example/api
auth: {header: {name: PRIVATE-TOKEN, value: "env:TOKEN"}}
codeowners:
  repository: https://git.acme.example/acme/ml
  path: /files/CODEOWNERS/raw
  params: {ref: main}
  dialect: gitlab
"""


def over_http(answer: Callable[[httpx2.Request], httpx2.Response]) -> CodeOwnersSource:
    return CodeOwnersSource(
        parse(OVER_HTTP), secret=lambda _: "s3cret", transport=httpx2.MockTransport(answer)
    )


def test_a_file_is_asked_for_with_credentials_and_sent_again_only_when_it_changed():
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if request.headers.get("if-none-match") == '"one"':
            return httpx2.Response(304)
        text = "[Data]\ndags/ @acme/core/data"
        return httpx2.Response(200, text=text, headers={"etag": '"one"'})

    reviewed = over_http(answer)
    keys = [Key("code", f"git.acme.example/acme/ml/dags/{n}.py") for n in range(5)]
    found = reviewed.fetch_many(keys)
    records = [told(found[key]) for key in keys]
    first = found[keys[0]]
    assert isinstance(first, Fetched)
    again = reviewed.fetch(keys[0], first.etag)

    assert len(asked) == 2
    assert asked[0].url == "https://git.acme.example/api/files/CODEOWNERS/raw?ref=main"
    assert asked[0].headers["private-token"] == "s3cret"
    assert asked[0].headers["accept"] == "text/plain"
    team = Uri("mlg://team/directory/core%2Fdata")
    line = {"pattern": "dags/", "line": 2, "section": "Data"}
    assert [reviewers(one) for one in records] == [{team: line}] * 5
    assert records[0].response is not None
    assert records[0].response.url == str(asked[0].url)
    assert again.record is None


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(404, text="Not found"),
        httpx2.Response(401, text="Who?"),
        httpx2.Response(503, text="Later"),
        httpx2.Response(302, headers={"location": "https://elsewhere.example"}),
        httpx2.Response(200, html="<html>Sign in</html>"),
        httpx2.Response(200, content=b"\xff", headers={"content-type": "text/plain"}),
        httpx2.Response(200, text=""),
    ],
)
def test_whatever_is_answered_instead_of_the_file_is_down(response):
    reviewed = over_http(lambda _: response)

    with pytest.raises(SourceDown):
        reviewed.fetch(Key("code", "git.acme.example/acme/ml/a.py"))


# ── From an event to an owner ────────────────────────────────────────────────────────────────────


def event(path: str = "dags/train.py", repository: str = "git@github.com:acme/ml.git") -> Any:
    place = {"type": "git", "url": "", "repoUrl": repository, "path": path}
    owned = {"owners": [{"name": "team:ranking"}]}
    facets = {"sourceCodeLocation": place, "ownership": owned}
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-01T08:00:00Z",
        "producer": "https://acme.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0193b0f2-0000-7000-8000-000000000000"},
        "job": {"namespace": "airflow", "name": "train", "facets": facets},
    }


@contextmanager
def installation(folder: Path) -> Iterator[Lineal]:
    with Lineal.open(Config(db=folder / "graph.db", sources=(folder,))) as lineal:
        yield lineal


def caught_up(lineal: Lineal) -> None:
    assert lineal.drain(timeout=20).complete


def owned_by(lineal: Lineal, layer: Layer = Layer.INFERRED) -> set[Uri]:
    return {
        one.other.uri
        for one in lineal.ask.neighbours(LOCAL, PIPELINE).value
        if one.relation == "owned_by" and one.edge.layer is layer
    }


def test_an_event_leads_to_the_owner_of_its_code_and_a_sweep_to_the_next(folder):
    with installation(folder) as lineal:
        lineal.receive_log([event()])
        caught_up(lineal)

        assert owned_by(lineal) == {DATA_TEAM, ALICE}
        assert owned_by(lineal, Layer.DECLARED) == {Uri("mlg://team/directory/ranking")}
        (reason,) = lineal.ask.explain(LOCAL, PIPELINE, "owned_by", DATA_TEAM).value.reasons
        assert reason.rule == "owner_of_code"
        (claim,) = [one.claim for one in reason.supports[1].claims]
        assert (claim.source, claim.document) == (
            "acme-ml",
            "code:github.com/acme/ml/dags/train.py",
        )
        assert claim.attributes == {"pattern": "/dags/", "line": 2}

        owners(folder, "# Somebody else now.", "* @acme/ml", "/dags/ @bob")
        swept = lineal.sweep("acme-ml")
        caught_up(lineal)

        assert (swept.listed, swept.absent, swept.held) == (1, 0, False)
        assert owned_by(lineal) == {BOB}
        assert owned_by(lineal, Layer.DECLARED) == {Uri("mlg://team/directory/ranking")}
        assert lineal.store.verify().sound
        assert not lineal.findings("acme-ml")


def test_a_file_that_is_gone_changes_nothing_and_a_path_without_reviewer_has_none(folder):
    with installation(folder) as lineal:
        lineal.receive_log([event()])
        caught_up(lineal)
        (folder / "CODEOWNERS").unlink()
        with pytest.raises(SourceDown):
            lineal.sweep("acme-ml")
        caught_up(lineal)

        assert owned_by(lineal) == {DATA_TEAM, ALICE}
        owners(folder, "* @acme/ml", "/dags/")
        lineal.sweep("acme-ml")
        caught_up(lineal)
        assert not owned_by(lineal)


def test_many_paths_are_all_asked_for_again_and_none_is_removed(folder):
    """A sweep lists none of them: that is no sign that they are gone."""
    with installation(folder) as lineal:
        for number in range(40):
            entry = event(f"dags/{number}.py")
            entry["job"]["name"] = f"job{number}"
            lineal.receive_log([entry])
        caught_up(lineal)
        owners(folder, "/dags/ @bob")
        lineal.sweep("acme-ml")
        caught_up(lineal)
        found = lineal.ask.neighbours(LOCAL, BOB).value

        assert sum(one.relation == "reviews" for one in found) == 40
        assert sum(one.relation == "owns" for one in found) == 40


def test_repositories_of_one_host_have_a_source_each(folder):
    spec = SPEC.replace("acme-ml", "acme-web").replace("acme/ml", "acme/web")
    (folder / "web.yaml").write_text(spec.replace("CODEOWNERS", "WEBOWNERS"), "utf-8")
    (folder / "WEBOWNERS").write_text("* @bob", "utf-8")
    with installation(folder) as lineal:
        lineal.receive_log([event(repository="https://github.com/acme/web")])
        caught_up(lineal)

        assert owned_by(lineal) == {BOB}

    (folder / "web.yaml").write_text(SPEC.replace("acme-ml", "again"), "utf-8")
    with pytest.raises(ConfigError, match="acme-ml and again both"), installation(folder):
        pass


def test_the_kit_finds_nothing_broken(folder):
    report = examine(source(folder), shapes=Shapes.builtin())

    assert report.ok
    assert report.listed == report.examined == 1
