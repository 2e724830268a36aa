"""Namespaces: the systems that give data sets their names, each with one spelling.

The namespaces are OpenLineage's. Source: https://openlineage.io/docs/spec/naming.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Ports that are left out of many connection strings, by scheme.
DEFAULT_PORTS = {
    "postgres": "5432",
    "mysql": "3306",
    "oceanbase": "2881",
    "redshift": "5439",
    "mssql": "1433",
    "sqlserver": "1433",
    "oracle": "1521",
    "hive": "9083",
    "hdfs": "8020",
    "kafka": "9092",
    "trino": "8080",
    "cassandra": "9042",
    "milvus": "19530",
    "crate": "5432",
    "db2": "50000",
    "teradata": "1025",
}
#: Services on HTTPS, whose namespaces have no port: 443 is left out.
_WITHOUT_PORT = frozenset({"unitycatalog", "azurecosmos", "azurekusto", "awsathena"})
_SCHEME_ALIASES = {
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "wasb": "wasbs",
    "abfs": "abfss",
    "postgresql": "postgres",
    "thrift": "hive",
}
OBJECT_STORES = frozenset({"s3", "gs", "abfss", "wasbs", "hdfs", "file", "dbfs"})
#: Stores whose paths begin with a slash, and that may be named without a host: ``file:/x``.
ROOTED = frozenset({"file", "hdfs", "dbfs"})

_ROOTED = re.compile(
    r"(file|hdfs|dbfs):(?://(?=/|$)(?P<far>/.*)?|(?P<near>/(?!/).*)?)", re.IGNORECASE | re.DOTALL
)
_FOLD_UP = frozenset({"snowflake", "oracle", "db2"})
_FOLD_DOWN = frozenset(
    {"postgres", "redshift", "hive", "crate", "trino", "awsathena", "glue", "unitycatalog"}
)
_DIALECTS = {"postgresql": "postgres", "athena": "awsathena", "databricks": "unitycatalog"}
_QUOTES = str.maketrans("", "", '"`[]')
_REDSHIFT = re.compile(
    r"([^.]+)\.[^.]+\.([^.]+)\.redshift(?:-serverless)?\.amazonaws\.com(?:\.cn)?"
)
_SNOWFLAKE_ACCOUNT = re.compile(r"([^.:]+)\.([^.:]+)")


@lru_cache(maxsize=4096)
def canonical_namespace(namespace: str) -> str:
    """
    Return the one spelling of an OpenLineage namespace.

    Scheme aliases (``s3a`` is ``s3``, ``jdbc:postgresql`` is ``postgres``) are resolved, scheme
    and host are lower-cased but no keys, user names, passwords and query strings left out, default
    ports made explicit where the specification has a port, several Kafka brokers sorted, a
    trailing slash dropped. A folder on this machine (``file:/x``) is in ``file``.

    >>> canonical_namespace("kafka://B,a:9092")
    'kafka://a:9092,b:9092'
    """
    found = namespace
    for _ in range(8):
        before, found = found, _spelled(found.strip())
        if found == before:
            break
    return found


def _spelled(text: str) -> str:
    if found := rooted(text):
        return found[0]
    scheme, parted, rest = text.partition("://")
    if not parted:
        return text
    scheme = scheme.lower().removeprefix("jdbc:")
    scheme = _SCHEME_ALIASES.get(scheme, scheme)
    authority, slash, path = rest.partition("/")
    if scheme in OBJECT_STORES:
        authority = _bucket(scheme, authority)
    else:
        authority, path = _host(scheme, authority), re.split(r"[?#;]", path, maxsplit=1)[0]
    if scheme == "spanner" and path:
        authority, slash, path = f"{authority}:{path.replace('/', ':')}", "", ""
    spelled = f"{authority}{slash}{path}".rstrip("/")
    return f"{scheme}://{spelled}" if spelled else scheme


def _bucket(scheme: str, authority: str) -> str:
    """Return the authority of an object store; the name of a bucket keeps its case."""
    if scheme in ("s3", "gs"):
        return authority
    if scheme == "wasbs":
        authority = authority.lower().replace(".blob.core.", ".dfs.core.")
    return with_port(authority, scheme) if scheme == "hdfs" else authority.lower()


def _host(scheme: str, authority: str) -> str:
    plain = re.split(r"[?#;]", authority, maxsplit=1)[0].rpartition("@")[2]
    hosts = (_known_host(scheme, with_port(host, scheme)) for host in plain.split(","))
    return ",".join(sorted(set(hosts)))


def _known_host(scheme: str, host: str) -> str:
    """Bring the address of a cloud service to the name that OpenLineage has for it."""
    if scheme == "redshift":
        name, colon, port = host.rpartition(":")
        found = _REDSHIFT.fullmatch(name)
        return f"{found.group(1)}.{found.group(2)}{colon}{port}" if found else host
    if scheme == "snowflake":
        account = host.removesuffix(":443").removesuffix(".snowflakecomputing.com")
        legacy = _SNOWFLAKE_ACCOUNT.fullmatch(account)
        return f"{account}.aws" if legacy else account
    return host


def with_port(host: str, scheme: str) -> str:
    """Return *host* in lower case and with the port that is usual for *scheme*, if there is one."""
    lowered = host.strip().lower()
    if scheme in _WITHOUT_PORT:
        return lowered.removesuffix(":443")
    port = DEFAULT_PORTS.get(scheme)
    named = lowered and (lowered.endswith("]") or ":" not in lowered)
    return f"{lowered}:{port}" if port and named else lowered


def rooted(text: str) -> tuple[str, str] | None:
    """
    Part ``file:/x``, ``dbfs:///x`` or ``/x`` into the store without a host, and the path in it.

    >>> rooted("file:///tmp"), rooted("hdfs://namenode/tmp")
    (('file', '/tmp'), None)
    """
    if text.startswith("/"):
        return "file", text
    found = _ROOTED.fullmatch(text)
    return (found[1].lower(), found["far"] or found["near"] or "") if found else None


def split_folder(namespace: str) -> tuple[str, str]:
    """Part a namespace such as ``file:/warehouse`` into the store and the folder in it."""
    text = namespace.strip()
    if here := rooted(text):
        return here
    scheme, found, rest = canonical_namespace(text).partition("://")
    authority, _, folder = rest.partition("/")
    return (f"{scheme}://{authority}", folder) if found else (scheme, "")


def dialect(namespace: str) -> str:
    """
    Return what decides on the case of names in *namespace*: its scheme, or itself without one.

    >>> dialect("postgresql://db")
    'postgres'
    """
    if namespace.startswith("arn:aws"):
        return namespace.split(":")[2] if namespace.count(":") > 2 else namespace
    scheme = canonical_namespace(namespace).partition("://")[0]
    return _DIALECTS.get(scheme, scheme)


def fold(name: str, dialect: str) -> str:
    """
    Return a relation's name without quotes and in the case its *dialect* folds to.

    Snowflake, Oracle and Db2 fold up; Postgres, Redshift, CrateDB, Hive, Trino, Athena, Glue and
    Unity Catalog down; BigQuery and all others keep names as they are.
    """
    return cased(name.translate(_QUOTES).strip(), dialect)


def cased(name: str, dialect: str) -> str:
    """Return *name* in the case its *dialect* folds to."""
    known = _DIALECTS.get(dialect, dialect)
    if known in _FOLD_UP:
        return name.upper()
    return name.lower() if known in _FOLD_DOWN else name
