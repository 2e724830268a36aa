"""The same real input gives the same digest and the same counts on each database."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineal.app import Lineal
from lineal.config import Config
from tests.databases import ENGINES, fresh


@pytest.mark.data
def test_real_events_and_a_real_project_give_one_digest(shared_data: Path, tmp_path: Path) -> None:
    found = []
    for engine in ENGINES:
        with fresh(engine, tmp_path) as place, Lineal.open(Config(db=place)) as lineal:
            events = lineal.import_openlineage([shared_data / "openlineage" / "events"])
            project = lineal.import_dbt([shared_data / "dbt" / "fivetran_hubspot"])
            verdict = lineal.store.verify()
            assert verdict.sound, verdict.disagreements
            assert events.read == 90
            assert project.things["column"] > 500
            counts = {name: rows for name, rows in verdict.counts.items() if name != "tx"}
            found.append((verdict.digest, dict(project.things), counts))
    assert found[0] == found[1]
