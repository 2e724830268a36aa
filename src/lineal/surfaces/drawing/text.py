"""Words in a picture: what may be written, how wide it is, and how it is cut to fit.

No font is measured: widths come from a table of a common bold sans-serif face.
"""

import re
import unicodedata
from functools import lru_cache
from html import escape

ELLIPSIS = "…"

#: Advance widths in thousandths of the font size, for the characters from space to tilde.
_WIDTHS = (
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
    975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
    333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
)  # fmt: skip

_SPACES = re.compile(r"[\t\n\r\v\f\x85\u2028\u2029]+")
#: Control characters, marks that turn the writing direction, and what XML does not allow.
_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


def clean(text: str) -> str:
    r"""
    Return *text* as one line without control characters, fit for any file.

    >>> clean("plays\x00 per\nday")
    'plays per day'
    """
    return _SURROGATES.sub("\ufffd", _UNWANTED.sub("", _SPACES.sub(" ", text)))


def xml(text: str) -> str:
    """
    Return *text* clean and escaped, for XML content and quoted attributes.

    >>> xml('a < "b"')
    'a &lt; &quot;b&quot;'
    """
    return escape(clean(text))


def address(href: str | None) -> str | None:
    """Return *href* if it leads to a page, and nothing if it could run a script."""
    plain = clean(href or "").strip()
    scheme = _SCHEME.match(plain)
    if not plain or (scheme and scheme[1].lower() not in {"http", "https"}):
        return None
    return plain


def spoken(word: str) -> str:
    """
    Return an identifier as it is said.

    >>> spoken("model-version")
    'model version'
    """
    return clean(word).replace("-", " ").replace("_", " ").strip()


@lru_cache(maxsize=4096)
def width(text: str, size: float) -> float:
    """Return about how wide *text* is at a font size of *size*."""
    return sum(map(_advance, text)) * size / 1000


def _advance(character: str) -> int:
    code = ord(character) - 32
    if 0 <= code < len(_WIDTHS):
        return _WIDTHS[code]
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    if character == ELLIPSIS or unicodedata.east_asian_width(character) in "WF":
        return 1000
    return 700


def shorten(text: str, size: float, room: float) -> str:
    """
    Return *text* cut at its end to fit into *room*.

    >>> shorten("weekly, for the home page", 10, 60)
    'weekly, fo…'
    """
    if width(text, size) <= room:
        return text
    return text[: _fitting(text, size, room - size)].rstrip() + ELLIPSIS


def squeeze(text: str, size: float, room: float) -> str:
    """
    Return *text* cut in its middle: the end of a name tells as much as its beginning.

    >>> squeeze("warehouse.plays_daily_v2", 10, 90)
    'wareho…daily_v2'
    """
    if width(text, size) <= room:
        return text
    half = (room - size) / 2
    head = text[: _fitting(text, size, half)]
    tail = text[len(text) - _fitting(text[::-1], size, half) :]
    return head.rstrip() + ELLIPSIS + tail.lstrip()


def _fitting(text: str, size: float, room: float) -> int:
    """Return how many leading characters of *text* fit into *room*."""
    used = 0.0
    for count, character in enumerate(text):
        used += _advance(character) * size / 1000
        if used > room:
            return count
    return len(text)
