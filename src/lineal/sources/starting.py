"""A commented file to begin a source with."""

from __future__ import annotations

import re
from importlib.resources import files

from lineal.errors import Invalid

#: What a source may be called, as `spec.SourceFile` says.
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
FORMS = ("http", "files")


def starter(name: str, form: str = "http") -> str:
    """
    Return a source file to begin with, commented, that is valid as it is.

    *form* is ``http`` for a tool that is asked, ``files`` for one that writes files.

    Raises:
        Invalid: a source cannot be called *name*.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"A source cannot be called {name!r}.",
            fix="Begin with a letter; use a-z, 0-9, _, . and -, at most 64 of them.",
        )
    text = files("lineal.sources").joinpath("starters", f"{form}.yaml").read_text("utf-8")
    return re.sub(r"\bNAME\b", name, text)
