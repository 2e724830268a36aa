"""The small sign of each kind of entity: a family, which has a colour, and a shape of its own."""

from lineal.surfaces.drawing.text import spoken, xml

_CYLINDER = "M-6-4a6 2.2 0 1 0 12 0a6 2.2 0 1 0-12 0V4a6 2.2 0 0 0 12 0V-4"
_CUBE = "M0-7L6-3.5V3.5L0 7-6 3.5V-3.5z"
_PERSON = "M-2.8-3.6a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0M-6 6.5a6 5.5 0 0 1 12 0"

#: Family and shape of each kind; a shape is a path around the origin, within seven units.
_BADGES = {
    "dataset": ("data", f"{_CYLINDER}M-6 0a6 2.2 0 0 0 12 0"),
    "dataset-version": ("data", f"{_CYLINDER}M-2.4 0L0 3.4 2.4 0"),
    "column": ("data", "M-6-6h12v12h-12zM-2-6v12M2-6v12"),
    "source": ("data", "M-2.5-7v3.5M2.5-7v3.5M-5-3.5h10v2.5a5 5 0 0 1-10 0zM0 4v3"),
    "feature": ("feature", "M0-6.5L6.5 0 0 6.5-6.5 0zM0-1.5L1.5 0 0 1.5-1.5 0z"),
    "feature-set": (
        "feature",
        "M0-6.5L6.5-3 0 .5-6.5-3zM-6.5 .2L0 3.7 6.5 .2M-6.5 3.4L0 6.9 6.5 3.4",
    ),
    "feature-service": (
        "feature",
        "M-3-4L1 0-3 4-7 0zM3-4.2a6 6 0 0 1 0 8.4M5.2-6a8.6 8.6 0 0 1 0 12",
    ),
    "pipeline": (
        "work",
        "M-7 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M3-4.2a2 2 0 1 0 4 0a2 2 0 1 0-4 0"
        "M3 4.2a2 2 0 1 0 4 0a2 2 0 1 0-4 0M-3-.6L3-3.6M-3 .6L3 3.6",
    ),
    "run": ("work", "M-4-6L6 0-4 6z"),
    "schedule": ("work", "M-6.5 0a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0-13 0M0-3.6V0l2.6 1.8"),
    "code": ("work", "M-2.6-4.4L-7 0-2.6 4.4M2.6-4.4L7 0 2.6 4.4"),
    "model": ("model", f"{_CUBE}M-6-3.5L0 0 6-3.5M0 0V7"),
    "model-version": ("model", f"{_CUBE}M-2.6-1.8L0 2.4 2.6-1.8"),
    "evaluation": ("trial", "M-5-5.5h10v12h-10zM-2-7.2h4v3h-4zM-2.6 1l2 2 3.4-4"),
    "metric": ("trial", "M-6.5 4.5a6.5 6.5 0 1 1 13 0zM0 4.5L3-.8"),
    "ab-test": (
        "trial",
        "M-2.4-6.5h4.8M-1.4-6.5v4.6L-5.6 5.2a.9.9 0 0 0 .8 1.3h9.6a.9.9 0 0 0 .8-1.3"
        "L1.4-1.9v-4.6M-3.8 2.2h7.6",
    ),
    "ab-cell": ("trial", "M-6-6h12v12h-12zM0-6v12M2.6-2.5h1M2.6 0h1M2.6 2.5h1"),
    "deployment": ("serve", "M0 3V-6.5M-4-2.5L0-6.5 4-2.5M-6 6.5h12"),
    "service": ("serve", "M-6-6h12v5h-12zM-6 1h12v5h-12zM-3.4-3.5h.1M-3.4 3.5h.1"),
    "dashboard": ("serve", "M-6.5 6.5h13M-4.5 3.5V0M0 3.5V-6M4.5 3.5V-3"),
    "user": ("people", _PERSON),
    "team": (
        "people",
        "M-4.8-3a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0-4.8 0M-7 6a4.6 4.8 0 0 1 9.2 0"
        "M2.4-5.3a2.4 2.4 0 0 1 0 4.6M4.2 1.6a4.6 4.8 0 0 1 2.8 4.4",
    ),
    "domain": ("people", "M-6.5-5h5l1.6 2h6.4v8.5h-13z"),
}

KINDS = tuple(_BADGES)


def badge(kind: str) -> str:
    """Return the sign of *kind*, 28 units wide; a kind we do not know gets its first letter."""
    family, shape = _BADGES.get(kind, ("people", ""))
    box = f'<rect class="lg-badge lg-{family}" width="28" height="28" rx="7"/>'
    if shape:
        return f'{box}<path class="lg-icon lg-{family}" transform="translate(14 14)" d="{shape}"/>'
    letter = xml(spoken(kind)[:1].upper() or "?")
    return f'{box}<text class="lg-letter lg-{family}" x="14" y="19">{letter}</text>'
