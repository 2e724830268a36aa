"""What is meant by a name on the command line: a URI, or the one thing that is called so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lineal.errors import NotFound
from lineal.model import SCHEME, Uri

if TYPE_CHECKING:
    from lineal.client.answers import Thing, Times
    from lineal.surfaces.cli.places import Answers

#: How many candidates are looked at, and how many of them are told.
LOOKED_AT, TOLD = 100, 10
#: What the query language would take for a filter or for more than words.
_QUERY = re.compile(r"^-|^[a-z]+:(?!:|//)|\s")


def uri_of(answers: Answers, text: str, times: Times) -> Uri:
    """
    Return the URI that *text* is, or the URI of the one thing with exactly that name.

    Raises:
        InvalidUri: it begins like a URI and is none.
        NotFound: nothing has the name, or several things have it; the message lists them.
    """
    if text.startswith(SCHEME):
        return Uri(text)
    plain = text.replace('"', " ").strip()
    asked = f'"{plain}"' if _QUERY.search(plain) else plain
    hits = answers.search(asked, limit=LOOKED_AT, offset=0, **times)["value"]["hits"]
    same = [hit for hit in hits if _is_called(hit, text)]
    if len(same) == 1:
        return Uri(same[0]["uri"])
    if same:
        raise NotFound(
            f"{len(same)} things are called {text!r}: {_listed(same)}.",
            fix="Name one of them by its URI.",
        )
    if hits:
        raise NotFound(
            f"Nothing is called exactly {text!r}. Close to it: {_listed(hits)}.",
            fix="Name one of them by its URI.",
        )
    raise NotFound(f"Nothing is called {text!r}.", fix="Find it by `lineal search`.")


def _is_called(thing: Thing, text: str) -> bool:
    return thing["name"] == text or Uri(thing["uri"]).name == text


def _listed(things: list[Thing]) -> str:
    more = len(things) - TOLD
    told = ", ".join(thing["uri"] for thing in things[:TOLD])
    return f"{told} and {more} more" if more > 0 else told
