"""Where data is: OpenLineage names, paths and addresses brought to data sets, each with one URI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from lineal.errors import InvalidUri
from lineal.model import Json, Uri
from lineal.normalise.namespaces import (
    OBJECT_STORES,
    ROOTED,
    canonical_namespace,
    cased,
    dialect,
    fold,
    rooted,
    split_folder,
)
from lineal.normalise.platforms import NO_ALIASES, Platforms, Rewrite
from lineal.normalise.values import mapping, text

#: What is a part of a data set rather than one: partitions, part files, the log of a table.
_MEMBER = re.compile(r"(?:/(?:part-[^/]*|[^/=]+=[^/]*|_delta_log(?:/.*)?))+/?$", re.DOTALL)
_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?([^:/\s]+):(?!//)(?!\d+/)([^\s]+)")
_TAIL = re.compile(r"(?:\.git|/|\s)+$")
_COSMOS = re.compile(r"(azurecosmos://[^/]+/dbs/[^/]+)/(.+)", re.IGNORECASE | re.DOTALL)
_GLUE = re.compile(r"(arn:aws[a-z-]*:glue:[^:/]*:[^:/]*):(table/.+)", re.DOTALL)
_S3_ARN = re.compile(r"arn:aws[a-z-]*:s3:::([^/]+)(?:/(.*))?", re.DOTALL)
_HUGGING_FACE = re.compile(
    r"(?:hf://|https?://huggingface\.co/)datasets/([^/@]+/[^/@]+)(?:[/@].*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Place:
    """A data set under the one spelling of its OpenLineage name."""

    namespace: str
    name: str
    #: The partition or file of the data set that was named, such as ``day=1/part-0``.
    member: str | None = None


def canonical(namespace: str, name: str) -> Place:
    """
    Return the one spelling of a data set's OpenLineage name.

    Names of relations lose their quotes and are folded by their dialect. Paths of object stores
    lose doubled and trailing slashes, and what names a part of the data set: the part is kept
    apart as *member*. A folder in the namespace goes into the path.

    >>> canonical("s3a://lake", "db//t/day=1/part-0")
    Place(namespace='s3://lake', name='db/t', member='day=1/part-0')
    """
    if dialect(namespace) in OBJECT_STORES:
        return _object(namespace, name)
    return Place(canonical_namespace(namespace), fold(name.strip(), dialect(namespace)))


def _object(namespace: str, name: str) -> Place:
    space, folder = split_folder(namespace)
    scheme = space.partition("://")[0]
    path = re.sub(r"/{2,}", "/", f"{folder}/{name.strip()}" if folder else name.strip())
    if scheme not in ROOTED:
        path = path.lstrip("/")
    elif scheme != "file":
        path = f"/{path.lstrip('/')}"
    found = _MEMBER.search(path)
    member = found.group().strip("/") if found else None
    root = path[: found.start()] if found else path
    return Place(space, root.strip().rstrip("/").rstrip() or "/", member)


def data_set(namespace: str, name: str, platforms: Platforms = NO_ALIASES) -> Uri:
    """
    Return the URI of the data set that OpenLineage calls *name* in *namespace*.

    What is percent-encoded in a path is decoded, once.

    Raises:
        InvalidUri: there is no name.
    """
    path = dialect(namespace) in OBJECT_STORES
    return _uri(canonical(namespace, unquote(name) if path else name), platforms)


def member(namespace: str, name: str) -> str | None:
    """Return which part of its data set *name* names, None if it is the whole."""
    return canonical(namespace, unquote(name)).member


def _uri(place: Place, platforms: Platforms) -> Uri:
    scheme, _, bucket = place.namespace.partition("://")
    platform = platforms.named(place.namespace)
    if platform == place.namespace and bucket and scheme in ("s3", "gs"):
        return Uri.of("dataset", scheme, bucket, place.name)
    return Uri.of("dataset", platform, place.name)


def column(whole: Uri, name: str, dialect: str = "") -> Uri:
    """
    Return the URI of the column *name* of the data set *whole*, in the case of its *dialect*.

    A field inside a field is one name with dots.

    Raises:
        InvalidUri: *name* is blank or cannot be part of a URI.
    """
    plain = name.strip()
    if len(plain) > 2 and plain[0] == plain[-1] and plain[0] in '"`':
        plain = plain[1:-1]
    return whole.part("column", cased(plain, dialect))


def location(url: str, platforms: Platforms = NO_ALIASES) -> Uri:
    """
    Return the URI of the data set at *url*: ``s3://bucket/path``, ``file:/x``, ``hive://h/db.t``.

    Known too are ARNs of Glue tables and S3 objects, and data sets on Hugging Face. What is
    percent-encoded is decoded, once.

    Raises:
        InvalidUri: *url* has no scheme or no path.
    """
    plain = url.strip()
    if found := _HUGGING_FACE.fullmatch(plain):
        return Uri.of("dataset", "huggingface", found.group(1))
    namespace, name = _parted(plain)
    if name is None:
        raise InvalidUri(
            f"{url[:80]!r} is not the location of a data set.",
            fix="Give a URL with a scheme and a path.",
        )
    return _uri(canonical(namespace, unquote(name)), platforms)


def _parted(url: str) -> tuple[str, str | None]:
    if found := _COSMOS.fullmatch(url) or _GLUE.fullmatch(url):
        return found.group(1), found.group(2)
    if found := _S3_ARN.fullmatch(url):
        return f"s3://{found.group(1)}", found.group(2)
    if here := rooted(url):
        return here[0], here[1] or None
    scheme, parted, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority}", path if parted and slash else None


def mlflow_source(source: str, form: str = "", platforms: Platforms = NO_ALIASES) -> Uri | None:
    """
    Return the data set that the source of an MLflow data set means, None where it names none.

    *source* is MLflow's JSON inside a text, such as ``{"uri": "s3://b/t"}``, and *form* its
    ``source_type``. Code and local notebooks name no data set.
    """
    try:
        said = mapping(msgspec.json.decode(source))
    except (msgspec.DecodeError, RecursionError):
        return None
    try:
        if form == "hugging_face":
            path = text(said.get("path"))
            return Uri.of("dataset", "huggingface", path) if path else None
        if table := text(said.get("delta_table_name")):
            return data_set("unitycatalog", table, platforms)
        address = next(
            (found for key in ("uri", "path", "url") if (found := text(said.get(key)))), None
        )
        return location(address, platforms) if address else None
    except InvalidUri:
        return None


def in_warehouse(catalog: Mapping[str, Json], name: str) -> str | None:
    """
    Return where the table *name* of a catalog lies, None where that cannot be told.

    Only Iceberg's catalogs of files lay their tables out by a rule: ``warehouse/database/table``.
    """
    root = text(catalog.get("warehouseUri"))
    if (catalog.get("framework"), catalog.get("type")) != ("iceberg", "hadoop") or not root:
        return None
    steps = name.removeprefix(f"{catalog.get('name')}.").split(".")
    return f"{root.rstrip('/')}/{'/'.join(steps)}" if len(steps) > 1 and all(steps) else None


# ── Rewrites ─────────────────────────────────────────────────────────────────────────────────────


def rewritten(data_set: Uri, platforms: Platforms) -> Iterator[tuple[Uri, Rewrite]]:
    """Go through the data sets that *data_set* is by a configured rewrite, with the rule."""
    if not platforms.rewrites or data_set.type != "dataset":
        return
    platform, *segments = data_set.parts[1:]
    bucket = platform in ("s3", "gs") and len(segments) == 2
    home = f"{platform}://{segments[0]}" if bucket else platform
    name = segments[-1] if bucket else "/".join(segments)
    for rule in platforms.rewrites:
        other = rule.applied(name) if platforms.home(rule.namespace) == home else None
        if other is not None:
            uri = _uri(canonical(rule.to_namespace, other), platforms)
            if uri != data_set:
                yield uri, rule


# ── Addresses ────────────────────────────────────────────────────────────────────────────────────


def repository(url: str) -> str:
    """
    Return the one spelling of the address of a repository, without user names and passwords.

    >>> repository("git@github.com:org/models.git")
    'https://github.com/org/models'
    """
    plain = _TAIL.sub("", re.sub(r"^(?:git\+)+", "", url.strip()))
    if "://" not in plain and (found := _SCP_LIKE.fullmatch(plain)):
        plain = f"https://{found.group(1)}/{found.group(2)}"
    plain = re.sub(r"^(?:ssh|git)://((?:[^@/]*@)?[^:/]+)(?::22)?(?=/)", r"https://\1", plain)
    return _TAIL.sub("", without_password(plain))


def without_password(url: str) -> str:
    """Return *url* without user name, password and query, its scheme and host in lower case."""
    scheme, found, rest = url.strip().partition("://")
    if not found:
        return url.strip()
    authority, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme.lower()}://{authority.rpartition('@')[2].lower()}{slash}{path}"
