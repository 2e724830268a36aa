"""One vocabulary: sources' words brought to ours.

Ids to URIs, locations and OpenLineage names to data sets, owners to people and teams, labels to
tags, status words and times to ours. Pure functions; each says which spellings it knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote

from lineal.errors import Invalid, InvalidUri
from lineal.model import Instant, Json, Uri, instant, iso

# ── Loose values ─────────────────────────────────────────────────────────────────────────────────


def text(value: Json) -> str | None:
    """Return *value* if it is text that is not blank, without the space around it."""
    return value.strip() or None if isinstance(value, str) else None


def number(value: Json) -> int | float | None:
    """Return *value* if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def mapping(value: Json) -> Mapping[str, Json]:
    """Return *value* if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Json) -> Sequence[Json]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def mappings(value: Json) -> Iterator[Mapping[str, Json]]:
    """Go through the mappings in the list *value*; anything else in it is passed over."""
    return (item for item in sequence(value) if isinstance(item, Mapping))


def said(attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attributes that say something: without None, blank texts and empty lists."""
    return {key: value for key, value in attributes.items() if value not in (None, "", [], {})}


# ── Times ────────────────────────────────────────────────────────────────────────────────────────

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_BEYOND_MICROS = re.compile(r"[.,]\d{6}(\d+)")


def time(value: Json) -> Instant | None:
    """
    Return the instant that *value* names, None where it names none.

    Known are ISO 8601 (a date; a time with or without zone, without meaning UTC; fractions are
    kept to the microsecond), RFC 2822, and numbers since 1970: seconds below 10^11, milliseconds
    below 10^14, microseconds below 10^17, nanoseconds above.

    Raises:
        Invalid: *value* is something else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Invalid(f"{value!r} is not a time.", fix="Use ISO 8601 or a number since 1970.")
    if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        return _from_text(value.strip())
    return _from_number(float(value) if "." in str(value) else int(value))


def iso_time(value: Json) -> str | None:
    """Return the time that *value* names as ISO 8601 in UTC, None where none can be read."""
    try:
        at = time(value)
        return None if at is None else iso(at)
    except (Invalid, OverflowError, ValueError):
        return None


def nanoseconds(value: str) -> int:
    """
    Return the time in *value* in nanoseconds since 1970: what orders events of one source.

    Raises:
        Invalid: *value* is not a time.
    """
    whole = time(value)
    if whole is None:
        raise Invalid("There is no time.", fix="Use ISO 8601, such as 2026-03-01T12:00:00Z.")
    beyond = _BEYOND_MICROS.search(value)
    return whole * 1_000 + (int(beyond.group(1).ljust(3, "0")[:3]) if beyond else 0)


def _from_number(number: float) -> Instant:
    if not abs(number) < 1e20:
        raise Invalid(f"{number!r} is not a time.", fix="Use ISO 8601 or a number since 1970.")
    for limit, factor in ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1)):
        if abs(number) < limit:
            return int(number * factor)
    return int(number // 1_000)


def _from_text(text: str) -> Instant:
    trimmed = _LONG_FRACTION.sub(r"\1", text)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return instant(parse(trimmed))
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    raise Invalid(
        f"{text[:60]!r} is not a time.", fix="Use ISO 8601, such as 2026-03-01T12:00:00Z."
    )


# ── Platforms and data sets ──────────────────────────────────────────────────────────────────────

#: Ports that are left out of many connection strings, by scheme.
DEFAULT_PORTS = {
    "postgres": "5432",
    "mysql": "3306",
    "redshift": "5439",
    "mssql": "1433",
    "oracle": "1521",
    "hive": "10000",
    "trino": "8080",
    "cassandra": "9042",
    "crate": "5432",
    "db2": "50000",
    "teradata": "1025",
}
_SCHEME_ALIASES = {
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "wasb": "wasbs",
    "abfs": "abfss",
    "postgresql": "postgres",
    "jdbc:postgresql": "postgres",
    "jdbc:mysql": "mysql",
}
_FOLD_UP = frozenset({"snowflake", "oracle"})
_FOLD_DOWN = frozenset({"postgres", "redshift", "hive"})
_OBJECT_STORES = frozenset({"s3", "gs", "abfss", "wasbs", "hdfs", "file", "dbfs"})
_PARTITION_TAIL = re.compile(r"(?:/(?:_delta_log|part-[^/]*|[^/=]+=[^/]*))+/?$")
_QUOTES = str.maketrans("", "", '"`[]')


@dataclass(frozen=True, slots=True)
class Platforms:
    """
    The systems that give things their names, and what else those systems are called.

    *aliases* maps a namespace as it is found (``postgres://db:5432``, ``mozdata``) to the name of
    the platform in URIs. What is not listed keeps its own, normalised name.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)

    def named(self, namespace: str) -> str:
        """Return the platform that *namespace* means."""
        return self._alias(namespace) or canonical_namespace(namespace)

    def _alias(self, namespace: str) -> str | None:
        if not self.aliases:
            return None
        canonical = canonical_namespace(namespace)
        for spelling in (namespace, canonical):
            if spelling in self.aliases:
                return self.aliases[spelling]
        spellings = (key for key in self.aliases if canonical_namespace(key) == canonical)
        return next((self.aliases[key] for key in spellings), None)


NO_ALIASES = Platforms()


@lru_cache(maxsize=4096)
def canonical_namespace(namespace: str) -> str:
    """
    Return the one spelling of an OpenLineage namespace.

    Scheme aliases (``s3a`` is ``s3``) are resolved, scheme and host are lower-cased, user names,
    passwords and query strings left out, default ports made explicit, several Kafka brokers
    sorted, a trailing slash dropped.
    """
    text = namespace.strip()
    scheme, found, rest = text.partition("://")
    if not found:
        return "file" if re.match(r"file:/?", text) else text
    scheme = _SCHEME_ALIASES.get(scheme.lower(), scheme.lower())
    if (scheme == "file" and rest in ("", "/")) or (scheme == "file" and rest.startswith("/")):
        return "file"
    authority, slash, path = rest.partition("/")
    if scheme not in _OBJECT_STORES:
        path = path.partition("?")[0].partition("#")[0]
        authority = authority.partition("?")[0].rpartition("@")[2]
        authority = ",".join(sorted(_with_port(host, scheme) for host in authority.split(",")))
    elif scheme in ("hdfs", "file"):
        authority = authority.lower()
    return f"{scheme}://{authority}{slash}{path}".rstrip("/")


def _with_port(host: str, scheme: str) -> str:
    port = DEFAULT_PORTS.get(scheme)
    lowered = host.strip().lower()
    named = lowered and (lowered.endswith("]") or ":" not in lowered)
    return f"{lowered}:{port}" if port and named else lowered


def dialect(namespace: str) -> str:
    """
    Return what decides on the case of names in *namespace*: its scheme, or itself without one.

    >>> dialect("postgresql://db")
    'postgres'
    """
    return canonical_namespace(namespace).partition("://")[0]


def fold(name: str, dialect: str) -> str:
    """Return a relation's name without quotes and in the case its *dialect* folds to."""
    return _cased(name.translate(_QUOTES), dialect)


def _cased(name: str, dialect: str) -> str:
    if dialect in _FOLD_UP:
        return name.upper()
    return name.lower() if dialect in _FOLD_DOWN else name


def column(whole: Uri, name: str, dialect: str = "") -> Uri:
    """
    Return the URI of the column *name* of the data set *whole*, in the case of its *dialect*.

    A field inside a field is one name with dots.

    Raises:
        InvalidUri: *name* is blank or cannot be part of a URI.
    """
    return whole.part("column", _cased(name.strip(), dialect))


def data_set(namespace: str, name: str, platforms: Platforms = NO_ALIASES) -> Uri:
    """
    Return the URI of the data set that OpenLineage calls *name* in *namespace*.

    Names of relations are folded by their dialect; paths of object stores lose doubled and
    trailing slashes and partition folders, so that a part of a data set names its root.
    Source: https://openlineage.io/docs/spec/naming.

    Raises:
        InvalidUri: there is no name.
    """
    scheme = dialect(namespace)
    if scheme in _OBJECT_STORES:
        return _object(namespace, name, platforms)
    return Uri.of("dataset", platforms.named(namespace), fold(name.strip(), scheme))


def _object(namespace: str, name: str, platforms: Platforms) -> Uri:
    space, folder = _split_folder(namespace)
    path = re.sub(r"/{2,}", "/", f"{folder}/{unquote(name)}" if folder else unquote(name))
    path = _PARTITION_TAIL.sub("", path).rstrip("/") or "/"
    if not space.startswith("file"):
        path = path.lstrip("/") or "/"
    scheme, _, bucket = space.partition("://")
    platform = platforms.named(space)
    if platform == space and bucket and scheme in ("s3", "gs"):
        return Uri.of("dataset", scheme, bucket, path)
    return Uri.of("dataset", platform, path)


def _split_folder(namespace: str) -> tuple[str, str]:
    """Part a namespace such as ``file:/warehouse`` into the store and the folder in it."""
    local = re.fullmatch(r"file:(?://)?(/.*)", namespace.strip(), re.IGNORECASE)
    if local:
        return "file", local.group(1)
    scheme, found, rest = canonical_namespace(namespace).partition("://")
    authority, _, folder = rest.partition("/")
    return (f"{scheme}://{authority}", folder) if found else (scheme, "")


def location(url: str, platforms: Platforms = NO_ALIASES) -> Uri:
    """
    Return the URI of the data set at *url*: ``s3://bucket/path``, ``file:/x``, ``hive://h/db.t``.

    Raises:
        InvalidUri: *url* has no scheme or no path.
    """
    text = url.strip()
    if text.startswith("/") or text.startswith("file:"):
        return data_set("file", re.sub(r"^file:(//)?", "", text), platforms)
    scheme, found, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    if not found or not slash:
        raise InvalidUri(
            f"{url[:80]!r} is not the location of a data set.",
            fix="Give a URL with a scheme and a path.",
        )
    return data_set(f"{scheme}://{authority}", path, platforms)


_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?([^:/\s]+):(?!//)(?!\d+/)([^\s]+)")


def repository(url: str) -> str:
    """
    Return the one spelling of the address of a repository, without user names and passwords.

    >>> repository("git@github.com:org/models.git")
    'https://github.com/org/models'
    """
    plain = url.strip().removeprefix("git+")
    if "://" not in plain and (found := _SCP_LIKE.fullmatch(plain)):
        plain = f"https://{found.group(1)}/{found.group(2)}"
    plain = re.sub(r"^(?:ssh|git)://", "https://", plain)
    return without_password(plain).rstrip("/").removesuffix(".git")


def without_password(url: str) -> str:
    """Return *url* without user name, password and query, its scheme and host in lower case."""
    scheme, found, rest = url.strip().partition("://")
    if not found:
        return url.strip()
    authority, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme.lower()}://{authority.rpartition('@')[2].lower()}{slash}{path}"


# ── Status words ─────────────────────────────────────────────────────────────────────────────────

_RUN_STATUS = {
    "queued": "queued pending scheduled created waiting",
    "running": "running start started in_progress executing",
    "succeeded": "succeeded success complete completed finished done pass passed ok",
    "failed": "failed fail failure error errored",
    "cancelled": "cancelled canceled abort aborted killed stopped terminated",
    "skipped": "skipped skip no-op no_op",
}
_RUN_STATUS_OF = {word: ours for ours, words in _RUN_STATUS.items() for word in words.split()}


def run_status(word: str) -> str | None:
    """Return our word for how a run stands or ended, None if *word* is not known."""
    return _RUN_STATUS_OF.get(word.strip().lower().replace(" ", "_"))


# ── People, teams, tags ──────────────────────────────────────────────────────────────────────────

_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
_TEAM = re.compile(r"(?:team|group)[:/](?:[^/]+/)?(.+)", re.IGNORECASE)
_USER = re.compile(r"user[:/](?:[^/]+/)?(.+)", re.IGNORECASE)


def email(text: str) -> Uri | None:
    """Return the reference for the first e-mail address in *text*, None if there is none."""
    found = _EMAIL.search(text)
    return Uri.of("user", "email", found.group().lower()) if found else None


def owner(text: str, *, directory: str) -> Uri | None:
    """
    Return the person or team that *text* means, None where it is blank.

    E-mail addresses (bare or in ``Name <a@b.c>``) become references that identity joins to the
    person who has that address. ``team:x``, ``group:default/x`` and ``@org/x`` are teams,
    ``user:default/x`` and ``@x`` people of *directory*; any other text is a team there.
    """
    plain = text.strip()
    if not plain:
        return None
    if (address := email(plain)) is not None:
        return address
    if found := _TEAM.fullmatch(plain):
        return Uri.of("team", directory, found.group(1))
    if found := _USER.fullmatch(plain):
        return Uri.of("user", directory, found.group(1))
    if plain.startswith("@"):
        _, slash, name = plain[1:].partition("/")
        return Uri.of("team", directory, name) if slash else Uri.of("user", directory, plain[1:])
    return Uri.of("team", directory, plain)


def tag(key: str, value: str | None = None) -> str:
    """Return a label as a tag: ``key::value``, or ``key`` alone where there is no value."""
    return f"{key.strip()}::{value.strip()}" if value and value.strip() else key.strip()


def tags(labels: Json) -> list[str]:
    """
    Return labels of any usual form as sorted tags.

    Known are a mapping, a list of ``{key|name|tag, value}``, and a list of texts in which ``:``
    parts key and value.

    Raises:
        Invalid: *labels* is something else.
    """
    return sorted(set(_tags(labels)))


def _tags(labels: Json) -> Iterable[str]:
    if labels is None:
        return
    if isinstance(labels, Mapping):
        for key, value in labels.items():
            yield tag(str(key), None if value in (None, True, "true", "") else str(value))
    elif isinstance(labels, list):
        for label in labels:
            yield _tag_of(label)
    else:
        raise Invalid(f"{labels!r} is not a set of labels.", fix="Give a list or a mapping.")


def _tag_of(label: Json) -> str:
    if isinstance(label, Mapping):
        key = label.get("key") or label.get("name") or label.get("tag")
        value = label.get("value")
        if key is None:
            raise Invalid(f"The label {label!r} has no key.")
        return tag(str(key), None if value is None else str(value))
    text = str(label)
    key_text, colon, rest = text.partition("::" if "::" in text else ":")
    return tag(key_text, rest) if colon else tag(text)
