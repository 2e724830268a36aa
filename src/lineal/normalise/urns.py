"""DataHub's urns brought to ours.

Source: https://docs.datahub.com/docs/what/urn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from lineal.errors import InvalidUri
from lineal.model import Uri
from lineal.normalise.namespaces import canonical_namespace, dialect, fold
from lineal.normalise.places import column, data_set
from lineal.normalise.platforms import NO_ALIASES, Platforms

_URN = re.compile(r"urn:li:([A-Za-z]+):(.+)", re.DOTALL)
_FIELD_NOTES = re.compile(r"\[[^\]]*\]")
#: DataHub's names of platforms, and the namespaces that OpenLineage has for them.
_PLATFORMS = {
    "gcs": "gs",
    "adlsGen2": "abfss",
    "unity-catalog": "unitycatalog",
    "athena": "awsathena",
}
#: The fabric of what people call production.
_PRODUCTION = "PROD"


@dataclass(frozen=True, slots=True)
class Urn:
    """A urn in its parts: ``urn:li:dataset:(platform,name,PROD)`` has three."""

    kind: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Urn:
        """
        Return the urn that *text* spells, its parts decoded; a part may be a urn itself.

        >>> Urn.of("urn:li:corpuser:jane").parts
        ('jane',)

        Raises:
            InvalidUri: *text* is no urn, or its brackets do not fit.
        """
        found = _URN.fullmatch(text.strip())
        if found is None:
            raise InvalidUri(f"{text[:80]!r} is no urn.", fix="Write urn:li:<type>:<id>.")
        kind, rest = found.groups()
        if not rest.startswith("("):
            return cls(kind, (unquote(rest),))
        parts = tuple(_split(rest, text))
        return cls(
            kind, tuple(part if part.startswith("urn:") else unquote(part) for part in parts)
        )


def _split(text: str, whole: str) -> Iterator[str]:
    depth, piece = 0, ""
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth < 0 or (depth == 0 and at != len(text) - 1):
            break
        if letter == "," and depth == 1:
            yield piece
            piece = ""
        elif (letter, depth) not in (("(", 1), (")", 0)):
            piece += letter
    else:
        if depth == 0:
            yield piece
            return
    raise InvalidUri(f"The brackets of {whole[:80]!r} do not fit.")


def datahub_data_set(urn: str, platforms: Platforms = NO_ALIASES) -> Uri:
    """
    Return the data set that a urn of DataHub names.

    DataHub's platform stands for the namespace, which it does not know: name it in the aliases
    (``snowflake=warehouse``). What is not in the fabric PROD is on a platform of its own
    (``snowflake:dev``), for two environments are never one by themselves.

    Raises:
        InvalidUri: it is no urn of a data set.
    """
    platform, name, fabric = _data_set_parts(urn)
    if fabric != _PRODUCTION:
        home = platforms.named(f"{platform}:{fabric.lower()}")
        return Uri.of("dataset", home, fold(name, dialect(platform)))
    if platform in ("s3", "gs"):
        bucket, slash, path = name.removeprefix(f"{platform}://").partition("/")
        return data_set(f"{platform}://{bucket}", path if slash else "/", platforms)
    if platform == "glue":
        database, _, table = name.partition(".")
        return data_set("glue", f"table/{database}/{table}".rstrip("/").lower(), platforms)
    return data_set(platform, name, platforms)


def _data_set_parts(text: str) -> tuple[str, str, str]:
    urn = Urn.of(text)
    if urn.kind != "dataset" or len(urn.parts) != 3 or not all(part.strip() for part in urn.parts):
        raise InvalidUri(f"{text[:80]!r} is no urn of a data set.")
    platform = Urn.of(urn.parts[0]).parts[0] if urn.parts[0].startswith("urn:") else urn.parts[0]
    return (
        canonical_namespace(_PLATFORMS.get(platform, platform)),
        urn.parts[1],
        urn.parts[2].upper(),
    )


def datahub_environment(urn: str) -> str:
    """Return the environment of a data set's urn, in lower case; raises `InvalidUri`."""
    return _data_set_parts(urn)[2].lower()


def datahub_column(data_set_urn: str, field: str, platforms: Platforms = NO_ALIASES) -> Uri:
    """
    Return the column that DataHub calls *field*: its path, without the notes on types in it.

    Raises:
        InvalidUri: it is no urn of a data set, or no name is left.
    """
    steps = (step for step in _FIELD_NOTES.sub("", field).split(".") if step)
    whole = datahub_data_set(data_set_urn, platforms)
    return column(whole, ".".join(steps), dialect(_data_set_parts(data_set_urn)[0]))
