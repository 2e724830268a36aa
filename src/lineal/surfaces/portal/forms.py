"""What a form of a page says."""

from __future__ import annotations

from urllib.parse import parse_qs

from lineal.errors import Invalid
from lineal.surfaces.bodies import Body


def fields(sent: Body) -> dict[str, str]:
    """Return the fields of a form; raises `Invalid` where it is no text."""
    try:
        return {name: values[-1] for name, values in parse_qs(sent.raw.decode()).items()}
    except UnicodeDecodeError as error:
        raise Invalid("The form is no text.") from error


def actor(said: dict[str, str]) -> str:
    """Return who decides; raises `Invalid` where nobody says so."""
    named = said.get("actor", "").strip()
    if not named:
        raise Invalid("Nobody says who decides.", fix="Give a name: it is kept.")
    return named[:200]
