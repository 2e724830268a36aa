"""dbt's tests as checks on data sets: which data set each looks at, and what to call it."""

from __future__ import annotations

import re

from lineal import normalise
from lineal.sources.dbt.artifacts import Node
from lineal.sources.dbt.projects import Project, config, depends_on

_QUOTED = re.compile(r"""['"]([^'"]+)['"]""")


def checks_of(project: Project) -> dict[str, dict[str, Node]]:
    """Return the tests of each data set: by its unique id, then by what the test is called."""
    found: dict[str, dict[str, Node]] = {}
    for unique_id, test in project.of_type("test"):
        for looked_at in looks_at(project, test):
            checks = found.setdefault(looked_at, {})
            name = label(unique_id, test)
            checks[unique_id if name in checks else name] = test
    return found


def label(unique_id: str, test: Node) -> str:
    """Return what a test is called: ``unique(order_id)``, or its own name."""
    kind = normalise.text(normalise.mapping(test.get("test_metadata")).get("name"))
    column = normalise.text(test.get("column_name"))
    if kind and column:
        return f"{kind}({column})"
    return normalise.text(test.get("name")) or unique_id


def severity(test: Node) -> str:
    """Return what a failure means: ``error`` or ``warn``."""
    return (normalise.text(config(test, "severity")) or "error").lower()


def looks_at(project: Project, test: Node) -> list[str]:
    """
    Return the unique ids of the data sets that a test looks at.

    New versions say so. In old ones a generic test names its model in a call of ``ref`` or
    ``source``; a test of one's own looks at all that it selects from.
    """
    attached = normalise.text(test.get("attached_node"))
    if attached:
        return [attached] if attached in project.data_sets else []
    candidates = [other for other in depends_on(test) if other in project.data_sets]
    given = normalise.mapping(normalise.mapping(test.get("test_metadata")).get("kwargs"))
    named = _QUOTED.findall(normalise.text(given.get("model")) or "")
    if named and len(candidates) > 1:
        narrowed = [other for other in candidates if other.split(".")[2:][-1:] == named[-1:]]
        return narrowed or candidates
    return candidates
