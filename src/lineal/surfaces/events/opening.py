"""Declared doors made ready: each with the client of its bus, which is loaded only for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lineal.errors import ConfigError
from lineal.surfaces.events import declared
from lineal.surfaces.events.doors import Door, Doors, missing

if TYPE_CHECKING:
    from lineal.app import Lineal

_Secret = Callable[[str], str]


def doors_of(lineal: Lineal) -> Doors:
    """
    Return the doors that an installation is configured to have; none is open yet.

    Raises:
        ConfigError: the client of a bus is not installed, a secret or a source is not there.
        SourceSpecError: a file of doors is wrong.
    """
    specs = declared.load(lineal.config.doors, lineal.config.variables)
    return Doors(made(specs, lineal.listened, lineal.secret), lineal)


def made(
    specs: Mapping[str, declared.Door], sources: frozenset[str], secret: _Secret
) -> list[Door]:
    """Return the doors that *specs* declare; raises `ConfigError`."""
    found: list[Door] = []
    for name, spec in specs.items():
        if spec.source is not None and spec.source not in sources:
            raise ConfigError(
                f"The door {name!r} is of the source {spec.source!r}, which there is not.",
                fix=f"Sources are {', '.join(sorted(sources))}.",
            )
        found.append(_made(name, spec, secret))
    return found


def _made(name: str, spec: declared.Door, secret: _Secret) -> Door:
    try:
        if spec.kafka is not None:
            from lineal.surfaces.events.kafka import KafkaDoor  # noqa: PLC0415

            return KafkaDoor(name, spec.kafka, source=spec.source, secret=secret)
        if spec.sqs is not None:
            from lineal.surfaces.events.sqs import SqsDoor  # noqa: PLC0415

            return SqsDoor(name, spec.sqs, source=spec.source, secret=secret)
        from lineal.surfaces.events.nats import NatsDoor  # noqa: PLC0415

        assert spec.nats is not None
        return NatsDoor(name, spec.nats, source=spec.source, secret=secret)
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise missing(name, *_PACKAGES[error.name]) from error


#: The modules of clients: in which package they are, and which of our extras brings it.
_PACKAGES = {
    "confluent_kafka": ("confluent-kafka", "kafka"),
    "boto3": ("boto3", "sqs"),
    "botocore": ("boto3", "sqs"),
    "nats": ("nats-py", "nats"),
}
