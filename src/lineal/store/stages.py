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
    stage, may, odd = _OF[driver.is_sqlite]
    text = _STAGES.format(stage=stage, may=may, odd=odd, alive=ALIVE)
    found: dict[int, str] = dict(driver.rows(text, *values))
    # Whoever else speaks of it may have the stronger word; and some the database cannot read.
    unsure = {key for (key,) in driver.rows(_UNSURE.format(odd=odd, alive=ALIVE), *values)}
    for some in slices(unsure & found.keys()):
        for key, said in reader.attributes(some).items():
            strongest = said.get("stage")
            if isinstance(strongest, str):
                found[key] = strongest
            else:
                found.pop(key)
    at = reader.basis.valid_at
    turning = {key for (key,) in driver.rows(_TURNING, at, at, reader.basis.t, at)}
    return found, turning


#: How a text of a JSON object is taken out of it, where it may be in it, and where no text is,
#: as a NUL is none to PostgreSQL, and ends it for SQLite: by the one, by the other.
_OF = (
    ("body::json ->> 'stage'", """strpos(body, '"stage":"') > 0""", "strpos(body, '\\u0000') > 0"),
    (
        "json_extract(body, '$.stage')", """instr(body, '"stage":"') > 0""",
        "instr(body, '\\u0000') > 0",
    ),
)  # fmt: skip
_STAGES = """
    SELECT key, stage FROM (
        SELECT key, CASE WHEN {odd} THEN '' ELSE {stage} END AS stage FROM record
        WHERE {alive} AND {may}
    ) AS said WHERE stage IS NOT NULL
"""
#: Of which things do several speak, or one who says what is read elsewhere?
_UNSURE = """
    SELECT key FROM record WHERE {alive} GROUP BY key
    HAVING count(*) > 1 OR max(CASE WHEN {odd} THEN 1 ELSE 0 END) = 1
"""
#: Of which things does a word begin or end to be so by itself?
_TURNING = """
    SELECT DISTINCT key FROM record
    WHERE (t_to IS NULL AND (valid_from > ? OR valid_to > ?)) OR (t_to <= ? AND ended_at > ?)
"""
