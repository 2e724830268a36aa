"""Why an answer was cut is a value, and has words where it is shown."""

import ast
from pathlib import Path

import pytest

from lineal import query
from lineal.model import Cut
from lineal.surfaces.cuts import KNOWN, worded

PACKAGE = Path(query.__file__).parents[1]


def _made() -> set[tuple[str, str]]:
    """Return the limit and the deed of every cut that the source makes, where both are written."""
    found = set()
    for folder in ("lineage", "query", "store"):
        for path in (PACKAGE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Cut":
                    limit, *rest = node.args
                    limits = [limit.value] if isinstance(limit, ast.Constant) else ["rows", "time"]
                    if not rest:
                        found |= {(str(one), "") for one in limits}
                    elif isinstance(rest[0], ast.Constant):
                        found |= {(str(one), str(rest[0].value)) for one in limits}
                    else:
                        words = ("things", "edges", "names")
                        assert ast.unparse(rest[0]) == "f'{what} counted'"
                        found |= {("list", f"{word} counted") for word in words}
    return found


def test_every_cut_has_words_and_every_word_is_of_a_cut() -> None:
    made = _made() | {("edges", "first step")}
    made |= {(limit, "of all") for limit in ("nodes", "edges", "time")}

    assert made == KNOWN


@pytest.mark.parametrize(("limit", "what"), sorted(KNOWN))
def test_words_are_whole_where_the_numbers_are(limit: str, what: str) -> None:
    words = worded(Cut(limit, what, done=3, most=1_000, total=2_000_000, part=("after", "ab-test")))

    assert words.startswith("after: ab test: ")
    assert not {"{", "}", "?", "None"} & set(words)
