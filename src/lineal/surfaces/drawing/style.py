"""The stylesheet of a picture: one set of classes for pages, files and the legend.

Colours are custom properties. A page may force a scheme with `data-theme` on its root.
"""

LIGHT = {
    "paper": "#fafbfc",
    "card": "#ffffff",
    "edge": "#8592a6",
    "ink": "#1b2534",
    "soft": "#556176",
    "line": "#5f6e84",
    "pale": "#8390a4",
    "focus": "#1d4ed8",
    "halo": "#dbe5fd",
    "live": "#15803d",
    "data": "#1f5fa8",
    "data-tint": "#e4eefa",
    "feature": "#0f6e6e",
    "feature-tint": "#dff2f1",
    "work": "#8a5209",
    "work-tint": "#f9edda",
    "model": "#6340b5",
    "model-tint": "#eee8fb",
    "trial": "#a32c62",
    "trial-tint": "#fae6ef",
    "serve": "#2c6e31",
    "serve-tint": "#e4f3e4",
    "people": "#475569",
    "people-tint": "#e9edf2",
}

DARK = {
    "paper": "#10151e",
    "card": "#1a222e",
    "edge": "#66748a",
    "ink": "#e7ecf4",
    "soft": "#a8b4c6",
    "line": "#93a1b6",
    "pale": "#6b7a91",
    "focus": "#82adff",
    "halo": "#22345c",
    "live": "#4fd07f",
    "data": "#8cbcf5",
    "data-tint": "#1d3350",
    "feature": "#6fd0cb",
    "feature-tint": "#173b3c",
    "work": "#ecb765",
    "work-tint": "#41311a",
    "model": "#bda6f7",
    "model-tint": "#332a55",
    "trial": "#f29bc0",
    "trial-tint": "#482338",
    "serve": "#8fd394",
    "serve-tint": "#203a24",
    "people": "#b4c0d0",
    "people-tint": "#2b3544",
}

FAMILIES = ("data", "feature", "work", "model", "trial", "serve", "people")

_FONT = '"Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif'

_RULES = f"""
.lg, .lg-legend {{ font-family: {_FONT}; color: var(--lg-ink); }}
.lg {{ display: block; max-width: none; }}
.lg-paper {{ fill: var(--lg-paper); }}
.lg-box {{ fill: var(--lg-card); stroke: var(--lg-edge); stroke-width: 1; }}
.lg-ring {{ fill: var(--lg-halo); stroke: none; }}
.lg-focus .lg-box {{ stroke: var(--lg-focus); stroke-width: 2.5; }}
.lg-title {{ fill: var(--lg-ink); font-size: 13px; font-weight: 600; }}
.lg-note {{ fill: var(--lg-soft); font-size: 11px; }}
.lg-icon {{ fill: none; stroke-width: 1.4; stroke-linecap: round; stroke-linejoin: round; }}
.lg-letter {{ font-size: 14px; font-weight: 700; text-anchor: middle; }}
.lg-live-dot {{ fill: var(--lg-live); }}
.lg-live-word {{ fill: var(--lg-live); font-size: 11px; font-weight: 600; }}
.lg-more {{ fill: var(--lg-card); stroke: var(--lg-edge); stroke-width: 1; }}
.lg-more-word {{ fill: var(--lg-soft); font-size: 10.5px; font-weight: 600; text-anchor: middle; }}
.lg-faded .lg-box {{ fill: none; stroke-dasharray: 2 3; }}
.lg-faded .lg-title {{ fill: var(--lg-soft); font-weight: 400; }}
.lg-faded .lg-badge {{ fill: none; }}
.lg-faded .lg-icon {{ stroke: var(--lg-soft); }}
.lg-faded .lg-letter {{ fill: var(--lg-soft); stroke: none; }}
a.lg-node {{ cursor: pointer; text-decoration: none; outline: none; }}
a.lg-node:hover .lg-box {{ stroke: var(--lg-focus); }}
a.lg-node:hover .lg-title {{ text-decoration: underline; }}
a.lg-node:focus-visible .lg-box {{ stroke: var(--lg-focus); stroke-width: 3; }}
.lg-line {{ fill: none; stroke: var(--lg-line); stroke-width: 1.5; }}
.lg-reach {{ fill: none; stroke: none; stroke-width: 12; pointer-events: stroke; }}
.lg-tip {{ fill: var(--lg-line); stroke: none; }}
.lg-declared .lg-line {{ stroke-width: 2.5; }}
.lg-inferred .lg-line {{ stroke-dasharray: 7 4; }}
.lg-suggested .lg-line {{ stroke-dasharray: 0.1 5; stroke-width: 2; stroke-linecap: round; }}
.lg-feedback .lg-line {{ stroke-dasharray: 0.1 4.5; stroke-width: 2; stroke-linecap: round; }}
.lg-possible .lg-line {{ stroke: var(--lg-pale); }}
.lg-possible .lg-tip {{ fill: var(--lg-pale); }}
.lg-link.lg-faded .lg-line {{ stroke: var(--lg-pale); }}
.lg-link.lg-faded .lg-tip {{ fill: var(--lg-pale); }}
.lg-label {{ fill: var(--lg-soft); stroke: var(--lg-paper); stroke-width: 4; paint-order: stroke;
  stroke-linejoin: round; font-size: 10.5px; text-anchor: middle; pointer-events: none; }}
.lg-mark {{ fill: var(--lg-paper); stroke: var(--lg-line); stroke-width: 1.2; }}
.lg-mark-line {{ fill: none; stroke: var(--lg-line); stroke-width: 1.3; stroke-linecap: round;
  stroke-linejoin: round; }}
.lg-mark-word {{ fill: var(--lg-soft); font-size: 10px; font-weight: 700; text-anchor: middle; }}
.lg-quiet {{ visibility: hidden; }}
.lg-link:hover .lg-quiet, .lg-link.lg-lit .lg-quiet {{ visibility: visible; }}
.lg-link:hover .lg-line, .lg-link.lg-lit .lg-line {{ stroke: var(--lg-focus); }}
.lg-link:hover .lg-tip, .lg-link.lg-lit .lg-tip {{ fill: var(--lg-focus); }}
.lg-legend {{ display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 0; padding: 0;
  list-style: none; font-size: 12px; color: var(--lg-soft); }}
.lg-legend li {{ display: inline-flex; align-items: center; gap: 8px; }}
@media (forced-colors: active) {{
  .lg-box, .lg-more, .lg-mark {{ fill: Canvas; stroke: CanvasText; }}
  .lg-line, .lg-mark-line, .lg-icon {{ stroke: CanvasText; }}
  .lg-tip {{ fill: CanvasText; }}
  .lg-title, .lg-note, .lg-label, .lg-more-word, .lg-mark-word {{ fill: CanvasText; }}
  .lg-label {{ stroke: Canvas; }}
  .lg-focus .lg-box, a.lg-node:focus-visible .lg-box {{ stroke: Highlight; }}
}}
""".strip()


def _properties(colours: dict[str, str]) -> str:
    return " ".join(f"--lg-{name}: {value};" for name, value in colours.items())


def _families() -> str:
    return "\n".join(
        f".lg-badge.lg-{name} {{ fill: var(--lg-{name}-tint); }}\n"
        f".lg-icon.lg-{name} {{ stroke: var(--lg-{name}); }}\n"
        f".lg-letter.lg-{name} {{ fill: var(--lg-{name}); stroke: none; }}"
        for name in FAMILIES
    )


#: The whole stylesheet. A page serves it; a file carries it.
STYLE = f""":root {{ {_properties(LIGHT)} }}
@media (prefers-color-scheme: dark) {{
:root:not([data-theme="light"]) {{ {_properties(DARK)} }}
}}
:root[data-theme="dark"] {{ {_properties(DARK)} }}
{_families()}
{_RULES}
"""
