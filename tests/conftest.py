"""What every test may ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# What pytest finds here by name are its hooks.
from tests.promises.recording import (
    pytest_collection_modifyitems,
    pytest_runtest_logreport,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_sessionstart,
)

__all__ = [
    "ROOT",
    "pytest_collection_modifyitems",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_sessionstart",
]

ROOT = Path(__file__).parent.parent

# No deadlines: a slow machine is not a fault. In CI a failure must come back on the next run.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, or skip: it is too big to live in the repository."""
    folder = Path(os.environ.get("LINEAL_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data: set LINEAL_DATA to its folder, or put it in ../shared/data")
    return folder
