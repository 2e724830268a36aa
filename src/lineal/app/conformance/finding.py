"""Which source is meant: a file, or a name that is configured or installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lineal.app.configured import platforms_of, python_sources, source_files
from lineal.config import Config
from lineal.errors import NotFound
from lineal.shapes import Shapes
from lineal.sources import FetchedSource
from lineal.sources.compiling import load
from lineal.sources.installed import available
from lineal.sources.plan import SourcePlan


def find(target: str, config: Config, shapes: Shapes) -> SourcePlan | FetchedSource:
    """
    Return the source that *target* means: declared ones as their plan, others ready for use.

    Raises:
        NotFound: there is none. SourceSpecError, ConfigError: it cannot be used.
    """
    if Path(target).is_file():
        return _load(Path(target), config, shapes)
    plans = [_load(path, config, shapes) for path in source_files(config.sources)]
    named = {plan.name: plan for plan in plans}
    if target in named:
        return named[target]
    if target in available():
        return python_sources(replace(config, python_sources=(target,)), taken=named)[target]
    raise NotFound(
        f"There is no file and no source {target!r}.",
        nearest=tuple(sorted({*named, *available()})),
        fix="Name a file, or say by LINEAL_SOURCES where the files are.",
    )


def _load(path: Path, config: Config, shapes: Shapes) -> SourcePlan:
    return load(path, variables=config.variables, shapes=shapes, platforms=platforms_of(config))
