"""Values in words: times, numbers, names of types, and other people's Markdown made safe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from lineal import normalise
from lineal.model import Instant, Json, State
from lineal.surfaces.drawing.badges import badge

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY
_UNITS = (
    (_YEAR, "year"),
    (30 * _DAY, "month"),
    (_DAY, "day"),
    (_HOUR, "hour"),
    (_MINUTE, "minute"),
)

#: What the states of a thing mean, for people who see them for the first time.
STATES = {
    State.REFERENCED: (
        "Not described yet",
        "Something refers to this, and no source has described it so far. It stands here under "
        "its identifier until its source is asked or tells of it.",
    ),
    State.STALE: (
        "Stale",
        "Its source could not be asked lately. What stands here is what it said last.",
    ),
    State.MISSING: (
        "Missing",
        "Its source was asked and does not know it. Whatever refers to it may be wrong.",
    ),
    State.DELETED: (
        "Deleted",
        "Its source says that it exists no longer. What was known of it stays in its history.",
    ),
    State.FORGOTTEN: (
        "Forgotten",
        "Its values were removed on purpose, or it was old and nothing needed it. Its history says "
        "when, by whom and why.",
    ),
    State.NOT_OBSERVED: (
        "Not observed",
        "Nobody had looked by the time asked about, so nothing can be said of it: neither that it "
        "existed nor that it did not. What is known of it begins later.",
    ),
}

# ── Times and numbers ────────────────────────────────────────────────────────────────────────────


def moment(at: Instant) -> str:
    """
    Return an instant as people write it.

    >>> moment(1_763_880_000_000_000)
    '23 Nov 2025, 06:40 UTC'
    """
    when = datetime.fromtimestamp(at // 1_000_000, tz=UTC)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def day(at: Instant) -> str:
    """Return the day of an instant."""
    when = datetime.fromtimestamp(at // 1_000_000, tz=UTC)
    return f"{when.day} {when:%b %Y}"


def clock(at: Instant) -> str:
    """Return the time of day of an instant."""
    return f"{datetime.fromtimestamp(at // 1_000_000, tz=UTC):%H:%M}"


def time(value: Json) -> str:
    """
    Return what a source calls a time as people write it; what is none stays as it is.

    >>> time("2026-01-06T04:12:00Z"), time("soon")
    ('6 Jan 2026, 04:12 UTC', 'soon')
    """
    text = normalise.iso_time(value)
    at = None if text is None else normalise.time(text)
    return str(value) if at is None else moment(at)


def ago(at: Instant, now: Instant) -> str:
    """
    Return how long before *now* an instant was.

    >>> ago(0, 125_000_000), ago(0, 5), ago(9_000_000_000, 0)
    ('2 minutes ago', 'just now', 'in 2 hours')
    """
    seconds = abs(now - at) // 1_000_000
    for size, unit in _UNITS:
        if seconds >= size:
            span = count(seconds // size, unit)
            return f"{span} ago" if at <= now else f"in {span}"
    return "just now"


def count(many: int, one: str, several: str = "") -> str:
    """
    Return a number with its noun.

    >>> count(1, "thing"), count(1200, "thing"), count(2, "entry", "entries")
    ('1 thing', '1,200 things', '2 entries')
    """
    return f"{many:,} {one if many == 1 else several or one + 's'}"


def number(value: float) -> str:
    """
    Return a number with its thousands parted.

    >>> number(91442003117), number(0.43120), number(20260106)
    ('91,442,003,117', '0.4312', '20,260,106')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def spoken(word: str) -> str:
    """
    Return an identifier as words.

    >>> spoken("hours_watched"), spoken("ab-test")
    ('hours watched', 'ab test')
    """
    return word.replace("_", " ").replace("-", " ")


# ── Signs ────────────────────────────────────────────────────────────────────────────────────────


def sign(kind: str) -> Markup:
    """Return the small sign of a type, for a page that serves the drawing's stylesheet."""
    return Markup(  # noqa: S704  # made by our own drawing, which escapes
        '<svg class="sign" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">'
        f"{badge(kind)}</svg>"
    )


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES: Mapping[str, set[str]] = {"a": {"href", "title"}, "ol": {"start"}}


def markdown(text: str) -> Markup:
    """
    Return somebody's Markdown as HTML that can do no harm.

    >>> markdown("Ranks **titles** <script>alert(1)</script>")
    Markup('<p>Ranks <strong>titles</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>')
    """
    tokens = _MARKDOWN.parse(text[:100_000])
    html = _MARKDOWN.renderer.render(_lowered(tokens), _MARKDOWN.options, {})
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={name: set(names) for name, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean.strip())  # noqa: S704  # cleaned just now


def _lowered(tokens: list[Token]) -> list[Token]:
    """A heading of a description is below the headings of its page."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
    return tokens
