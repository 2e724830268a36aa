"""What a configuration names: files of sources, sources in Python, platforms, secrets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lineal.config import Config
from lineal.errors import ConfigError, Invalid
from lineal.model import Instant, Uri
from lineal.normalise import Platforms, rewrites
from lineal.sources import FetchedSource, datahub
from lineal.sources.http import HttpSource
from lineal.sources.installed import Surroundings, installed
from lineal.sources.plan import SourcePlan
from lineal.sources.reviewers import CodeOwnersSource
from lineal.store import clock_now

#: The source that OpenLineage events are kept under.
OPENLINEAGE = "openlineage"


def platforms_of(config: Config) -> Platforms:
    """Return the platforms as they were configured; raises `ConfigError`."""
    try:
        return Platforms(config.platforms, rewrites(config.rewrites))
    except Invalid as error:
        raise ConfigError(f"LINEAL_REWRITES: {error.message}", fix=error.fix) from error


def source_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files of declared sources, those of a folder in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(one for one in path.iterdir() if one.suffix in (".yaml", ".yml")))
        elif path.exists():
            found.append(path)
        else:
            raise ConfigError(f"There is no source file {path}.")
    return found


def secret_in(variables: Mapping[str, str], reference: str) -> str:
    """Look up ``env:NAME`` among *variables*, or ``file:PATH``; raises `ConfigError`."""
    form, _, name = reference.partition(":")
    if form == "env" and name in variables:
        return variables[name]
    if form == "file":
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            # Not as its cause: that holds what the file holds.
            raise ConfigError(
                f"The secret {reference!r} is no text.", fix="Write the file in UTF-8."
            ) from None
        except OSError:
            pass
    raise ConfigError(
        f"The secret {reference!r} is not there.", fix="Set the variable or write the file."
    )


def python_sources(
    config: Config,
    *,
    clock: Callable[[], Instant] = clock_now,
    taken: Iterable[str] = (),
) -> dict[str, FetchedSource]:
    """
    Return the sources written in Python that *config* names; those *taken* are not theirs.

    Raises:
        ConfigError: one is not installed, is taken, or cannot be loaded.
    """
    surroundings = Surroundings(
        config.variables,
        lambda reference: secret_in(config.variables, reference),
        clock,
        platforms_of(config),
    )
    ours = {OPENLINEAGE, "dbt", datahub.SOURCE, *taken}
    return installed(config.python_sources, surroundings, taken=ours)


def declared(
    plans: Iterable[SourcePlan],
    secret: Callable[[str], str],
    *,
    clock: Callable[[], Instant] = clock_now,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, FetchedSource]:
    """Return the sources that files declare, ready to be asked."""
    return {
        plan.name: (HttpSource if plan.reviewers is None else CodeOwnersSource)(
            plan, secret=secret, clock=clock, sleep=sleep
        )
        for plan in plans
    }


def registered(sources: Iterable[FetchedSource]) -> dict[tuple[str, str], str]:
    """
    Which source describes which type on which platform; two for one is an error.

    A CODEOWNERS file describes one repository of a host, which others may share: of the host none
    is the first, and two for one repository are an error.
    """
    found: dict[tuple[str, str], str] = {}
    repositories: dict[Uri, str] = {}
    for source in sources:
        if isinstance(source, CodeOwnersSource):
            other = repositories.setdefault(source.root, source.name)
            if other != source.name:
                raise ConfigError(
                    f"{other} and {source.name} both read who reviews {source.root}.",
                    fix="Leave one of them out.",
                )
            continue
        for pair in sorted(source.platforms):
            if pair in found:
                raise ConfigError(
                    f"{found[pair]} and {source.name} both describe {pair[0]} on {pair[1]}.",
                    fix="Let one of them name another platform.",
                )
            found[pair] = source.name
    return found
