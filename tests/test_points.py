"""The points of the write path: each has a sentence, is in the code, and costs nobody anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lineal
from lineal import points
from tests.conftest import ROOT
from tests.crashes import points_page

SOURCE = Path(lineal.__file__).parent


def test_every_point_in_the_code_is_in_the_list_and_the_other_way_round() -> None:
    assert {point for point, _ in points_page.named()} == set(points.POINTS)


def test_a_transaction_is_opened_in_one_place_of_each_database() -> None:
    """So that every one of them has points: after it began, before its COMMIT, and after."""
    opening = list[tuple[str, str]]()
    for file in sorted((SOURCE / "store").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Attribute(value=ast.Attribute(), attr="begin" | "begin_nested" as how):
                    opening.append((file.name, how))
                case ast.Constant(value=str(text)) if text.startswith("BEGIN IMMEDIATE"):
                    opening.append((file.name, text))
    assert sorted(opening) == [
        ("postgres.py", "begin"), ("postgres.py", "begin"), ("sqlite.py", "BEGIN IMMEDIATE"),
    ]  # fmt: skip


def test_the_page_of_points_is_what_the_code_says() -> None:
    page = (ROOT / "docs/reference/points.md").read_text("utf-8")
    assert page == points_page.text(), "run python -m tests.crashes.points_page"


def test_whoever_listens_is_told_in_order_and_may_interrupt() -> None:
    told = list[str]()
    points.reached("judged")
    points.listen(told.append)
    try:
        points.reached("clock-held")
        points.reached("published")
    finally:
        points.listen(None)
    points.reached("judged")

    assert told == ["clock-held", "published"]


def test_what_a_listener_raises_is_raised_at_the_point() -> None:
    def break_off(point: str) -> None:
        raise OSError(point)

    points.listen(break_off)
    try:
        with pytest.raises(OSError, match="published"):
            points.reached("published")
    finally:
        points.listen(None)
