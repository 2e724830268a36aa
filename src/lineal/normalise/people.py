"""People and teams in any usual spelling."""

from __future__ import annotations

import re

from lineal.model import Uri

_EMAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
_TEAM = re.compile(r"(?:team|group)[:/](?:[^/]+/)?(.+)", re.IGNORECASE)
_USER = re.compile(r"user[:/](?:[^/]+/)?(.+)", re.IGNORECASE)


def email(text: str) -> Uri | None:
    """Return the reference for the first e-mail address in *text*, None if there is none."""
    found = _EMAIL.search(text)
    return Uri.of("user", "email", found.group().lower()) if found else None


def slug(name: str) -> str:
    """
    Return the short name of a team: lower case, a hyphen for blanks.

    >>> slug(" Data  Platform")
    'data-platform'
    """
    return "-".join(name.lower().split())


def owner(text: str, *, directory: str) -> Uri | None:
    """
    Return the person or team that *text* means, None where it is blank.

    E-mail addresses (bare or in ``Name <a@b.c>``) become references that identity joins to the
    person who has that address. ``team:x``, ``group:default/x`` and ``@org/x`` are the team with
    the slug ``x``, ``user:default/x`` and ``@x`` people of *directory*, whose names are in lower
    case; any other text is a team there.
    """
    plain = text.strip()
    if not plain:
        return None
    if (address := email(plain)) is not None:
        return address
    if found := _TEAM.fullmatch(plain):
        return Uri.of("team", directory, slug(found.group(1)))
    if found := _USER.fullmatch(plain):
        return Uri.of("user", directory, found.group(1).strip().lower())
    if plain.startswith("@"):
        _, slash, name = plain[1:].partition("/")
        if slash:
            return Uri.of("team", directory, slug(name))
        return Uri.of("user", directory, plain[1:].strip().lower())
    return Uri.of("team", directory, slug(plain))
