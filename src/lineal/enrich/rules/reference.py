"""The reference of the rules that come with Lineal, made from their files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lineal.enrich.rules.ordering import in_order
from lineal.enrich.rules.reading import builtin_rules, fixture_of
from lineal.enrich.rules.rule import Rule
from lineal.enrich.rules.telling import in_words, written
from lineal.shapes import Shapes

_HEAD = """\
# Rules

The rules that come with Lineal, in the order in which they conclude. What rules are and how they
are kept up stands in [rules](../explanation/rules.md), how to write one in
[write a rule](../how-to/write-a-rule.md); kinds and types are those of [types](types.md).

This page is made from the rules themselves by
`python -m lineal.enrich.rules.reference docs/reference/rules.md`.
"""


def markdown() -> str:
    """Return the page."""
    shapes = Shapes.builtin()
    return "\n".join([_HEAD, *("\n".join(_rule(one, shapes)) for one in in_order(builtin_rules()))])


def _rule(rule: Rule, shapes: Shapes) -> Iterator[str]:
    text, kind = written(rule), shapes.kinds[rule.gives]
    yield f"## `{rule.name}`\n"
    yield f"{rule.means}\n"
    yield f"*Wrong when:* {rule.wrong_when}\n"
    yield f"*When* {in_words(rule, shapes)}.\n"
    yield "```"
    yield f"match   {text.match}"
    yield from (f"where   {one}" for one in text.where)
    yield from (f"unless  {one}" for one in text.unless)
    yield f"gives   {text.gives}"
    yield "```\n"
    yield f"*Reason:* {rule.why}\n"
    finding = ", a finding: shown on the pages of both ends" if kind.finding else ""
    sure = "" if rule.confidence == 1 else f"; confidence {rule.confidence:g}"
    off = "" if rule.enabled else " Off until somebody enables it."
    yield f"Version {rule.version}; layer {rule.layer}{sure}; gives `{rule.gives}`{finding}.{off}\n"
    yield "Its fixture:\n"
    yield f"```\n{(fixture_of(rule) or '').strip()}\n```\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), "utf-8")
