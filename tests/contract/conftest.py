"""Every test here runs on each database."""

from collections.abc import Iterator

import pytest

from tests.databases import ENGINES
from tests.graphs import Graph, new


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Return the engine of the database that a test runs on."""
    return str(request.param)


@pytest.fixture
def graph(engine: str) -> Iterator[Graph]:
    """Open a graph on a fresh database."""
    with new(engine) as one:
        yield one
