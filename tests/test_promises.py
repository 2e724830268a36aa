"""The table of promises: made of what ran, and green only where everything ran in full."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from tests.promises import PROMISES, recording
from tests.promises.page import KEPT, PAGE, Row, rows, text
from tests.promises.recording import load

#: Cases of the tests of one promise with two figures.
CASES = {"tests/x.py::test_orders": ["P4"], "tests/x.py::test_runs[1]": ["P4"]}


def result(*ran: tuple[str, str, int], **more: Any) -> dict[str, Any]:
    return {
        "outcome": "passed", "promises": ["P4"], "ran": [list(one) for one in ran], "found": {},
        "why": "", "at": "2026-01-02 03:04", "commit": "abc", "seconds": 1.0, **more,
    }  # fmt: skip


ORDERS = ("P4", "orders of two fetches", 924)
FULL = {
    "tests/x.py::test_orders": {"CI": result(ORDERS)},
    "tests/x.py::test_runs[1]": {"night": result(("P4", "random runs", 5_000))},
}


def p4(results: dict[str, dict[str, dict[str, Any]]]) -> Row:
    return next(row for row in rows(results, CASES) if row.name == "P4")


def test_what_ran_in_full_and_passed_is_kept() -> None:
    assert p4(FULL).verdict == "**kept**"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"outcome": "failed"}, "FAILED"),
        ({"outcome": "skipped", "why": "no server"}, "skipped in part"),
        ({"ran": [["P4", "random runs", 4_999]]}, "shortened"),
        ({"ran": []}, "shortened"),
    ],
)
def test_what_failed_was_skipped_or_was_shortened_is_not(
    change: dict[str, Any], verdict: str
) -> None:
    night = {**FULL["tests/x.py::test_runs[1]"]["night"], **change}
    changed = {**FULL, "tests/x.py::test_runs[1]": {"night": night}}

    assert p4(changed).verdict == verdict
    assert p4(changed).verdict in text(changed, CASES)


def test_what_did_not_run_is_not_and_the_page_says_so() -> None:
    some = {"tests/x.py::test_orders": FULL["tests/x.py::test_orders"]}

    assert p4(some).verdict == "not all ran"
    assert "| `tests/x.py::test_runs[1]` | | | did not run | |" in text(some, CASES)


def test_a_promise_without_a_test_is_untested() -> None:
    assert next(row for row in rows(FULL, CASES) if row.name == "P2").verdict == "untested"


def test_the_last_run_of_a_test_decides_and_the_larger_one_counts() -> None:
    later = {
        **FULL,
        "tests/x.py::test_runs[1]": {
            **FULL["tests/x.py::test_runs[1]"],
            "CI": result(("P4", "random runs", 20), at="2026-02-02 03:04", outcome="failed"),
        },
    }
    assert p4(later).verdict == "FAILED"
    later["tests/x.py::test_runs[1]"]["CI"]["outcome"] = "passed"
    assert p4(later).verdict == "**kept**"


def test_the_page_is_made_of_the_results_that_are_kept() -> None:
    """And has a row for each promise; which tests there are now, `make promises` asks."""
    kept = load(KEPT)
    listed = {test: one["promises"] for test, sizes in kept.items() for one in sizes.values()}
    page = PAGE.read_text("utf-8")

    assert [name for name in PROMISES if f"| [{name}](#{name.lower()}) |" not in page] == []
    for test in listed:
        assert f"`{test.partition('[')[0].removeprefix('tests/')}`" in page


def test_what_was_only_set_up_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever breaks a session off leaves a test that began and never passed."""
    monkeypatch.setattr(recording, "_results", {})
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    def report(
        name: str,
        when: Literal["setup", "call"],
        outcome: Literal["passed", "failed"],
    ) -> None:
        told = pytest.TestReport(name, ("", 0, ""), {}, outcome, None, when)
        told.user_properties = [("promises", ["P1"])]
        recording.pytest_runtest_logreport(told)

    report("broken off", "setup", "passed")
    report("done", "setup", "passed")
    report("done", "call", "passed")
    report("not set up", "setup", "failed")

    found = {name: one["outcome"] for name, one in recording._results.items()}
    assert found == {"done": "passed", "not set up": "failed"}
