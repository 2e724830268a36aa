"""Platforms as they were configured: what else they are called, and which names mean others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lineal.errors import Invalid
from lineal.normalise.namespaces import canonical_namespace, dialect, fold, split_folder

_FIX = "Write 'namespace old.*' and 'namespace new.*', or two namespaces."


@dataclass(frozen=True, slots=True)
class Rewrite:
    """
    A rule by which names of one namespace mean names of another, or others in the same.

    What is named by the old name keeps it; that it is the same thing as the new name is *evidence*,
    which a person may take back, unlike an alias, which is one more spelling of one name.
    """

    namespace: str
    name: str
    to_namespace: str
    to_name: str
    #: True where the names are beginnings of names: they were written with ``*``.
    beginning: bool

    @classmethod
    def of(cls, old: str, new: str) -> Rewrite:
        """
        Return the rule that two sides spell: a namespace, and mostly a name with or without ``*``.

        >>> Rewrite.of("bigquery mozdata.*", "bigquery moz-fx-data-shared-prod.*").name
        'mozdata.'

        Raises:
            Invalid: a side has no namespace, or one has a ``*`` and the other has none.
        """
        (namespace, name, many), (to_namespace, to_name, to_many) = _side(old), _side(new)
        if many != to_many:
            raise Invalid(f"{old!r} and {new!r} do not fit together.", fix=_FIX)
        return cls(namespace, name, to_namespace, to_name, many)

    def __str__(self) -> str:
        star = "*" if self.beginning else ""
        sides = ((self.namespace, self.name), (self.to_namespace, self.to_name))
        return " = ".join(f"{namespace} {name}{star}" for namespace, name in sides)

    def applied(self, name: str) -> str | None:
        """Return what *name* is called by the rule, None where it does not speak of it."""
        if self.beginning and name.startswith(self.name) and name != self.name:
            return self.to_name + name[len(self.name) :]
        return self.to_name if name == self.name and not self.beginning else None


def _side(text: str) -> tuple[str, str, bool]:
    namespace, _, name = text.strip().partition(" ")
    name = name.strip()
    if not namespace or "*" in name[:-1]:
        raise Invalid(f"{text!r} is no side of a rewrite.", fix=_FIX)
    plain = fold(name.removesuffix("*"), dialect(namespace))
    return namespace, plain, not name or name.endswith("*")


@dataclass(frozen=True, slots=True)
class Platforms:
    """
    The systems that give things their names, and what else those systems are called.

    *aliases* maps a namespace as it is found (``postgres://db:5432``, ``mozdata``) to the name of
    the platform in URIs. What is not listed keeps its own, normalised name. *rewrites* maps names
    to other names of the same things, in the form of `Rewrite.of`.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    rewrites: tuple[Rewrite, ...] = ()

    def named(self, namespace: str) -> str:
        """Return the platform that *namespace* means."""
        if not self.aliases:
            return canonical_namespace(namespace)
        return self._alias(namespace) or canonical_namespace(namespace)

    def home(self, namespace: str) -> str:
        """Return the platform of a namespace that may have a folder in it, ``s3://bucket/x``."""
        return self.named(split_folder(namespace)[0])

    def _alias(self, namespace: str) -> str | None:
        canonical = canonical_namespace(namespace)
        for spelling in (namespace, canonical):
            if spelling in self.aliases:
                return self.aliases[spelling]
        known = {canonical_namespace(key): alias for key, alias in self.aliases.items()}
        if canonical in known or not canonical.startswith("kafka://"):
            return known.get(canonical)
        return _cluster(canonical, known)


def _cluster(brokers: str, known: Mapping[str, str]) -> str | None:
    """Return the alias of a Kafka cluster by its brokers, where those that have one agree."""
    mine = set(brokers.removeprefix("kafka://").split(","))
    found = {
        alias
        for namespace, alias in known.items()
        if namespace.startswith("kafka://")
        and mine & set(namespace.removeprefix("kafka://").split(","))
    }
    return found.pop() if len(found) == 1 else None


NO_ALIASES = Platforms()


def rewrites(rules: Mapping[str, str]) -> tuple[Rewrite, ...]:
    """Return the rules that a mapping of old to new spells, in order; raises `Invalid`."""
    return tuple(Rewrite.of(old, new) for old, new in rules.items())
