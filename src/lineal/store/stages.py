"""The stages of all things at once: what is said of each, and of which it must be asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal.store.bulk import ALIVE, alive
from lineal.store.driver import Driver
from lineal.store.slices import slices

if TYPE_CHECKING:
    from lineal.store.reading import Reader


def stages(reader: Reader, driver: Driver) -> tuple[dict[int, str], set[int]]:
    """
    Return the stage of each thing of which one is said at a reader's moment, by key.

    And the things of which another may be said a moment later, though nobody says anything.
    """
    values = alive(reader.basis)
    stage, may = _OF[driver.is_sqlite]
    text = _STAGES.format(stage=stage, may=may, alive=ALIVE)
    found: dict[int, str] = dict(driver.rows(text, *values))
    # Whoever else speaks of it may have the stronger word.
    several = {key for (key,) in driver.rows(_SEVERAL.format(alive=ALIVE), *values)}
    for some in slices(several & found.keys()):
        for key, said in reader.attributes(some).items():
            strongest = said.get("stage")
            if isinstance(strongest, str):
                found[key] = strongest
            else:
                found.pop(key)
    at = reader.basis.valid_at
    turning = {key for (key,) in driver.rows(_TURNING, at, at, reader.basis.t, at)}
    return found, turning


#: How a text of a JSON object is taken out of it, where it may be in it: by PostgreSQL, by SQLite.
_OF = (
    ("body::json ->> 'stage'", 'strpos(body, \'"stage":"\') > 0'),
    ("json_extract(body, '$.stage')", 'instr(body, \'"stage":"\') > 0'),
)
_STAGES = """
    SELECT key, {stage} FROM record WHERE {alive} AND {may} AND {stage} IS NOT NULL
"""
_SEVERAL = "SELECT key FROM record WHERE {alive} GROUP BY key HAVING count(*) > 1"
#: Of which things does a word begin or end to be so by itself?
_TURNING = """
    SELECT DISTINCT key FROM record
    WHERE (t_to IS NULL AND (valid_from > ? OR valid_to > ?)) OR (t_to <= ? AND ended_at > ?)
"""
