"""The same things as text for other tools: Mermaid and DOT."""

from collections.abc import Iterable

from lineal.surfaces.drawing.text import clean, spoken
from lineal.surfaces.drawing.things import Link, Node

_ARROWS = {"declared": "==>", "observed": "-->", "inferred": "-.->", "suggested": "-.->"}
_STYLES = {"declared": "bold", "observed": "solid", "inferred": "dashed", "suggested": "dotted"}


def mermaid(nodes: Iterable[Node], links: Iterable[Link]) -> str:
    """
    Return a Mermaid flowchart.

    >>> print(mermaid([Node("d", "plays", "dataset")], [Link("d", "d", "feeds")]), end="")
    flowchart LR
        n0["plays<br/>dataset"]
        n0 ==>|"feeds"| n0
    """
    names = {node.id: f"n{place}" for place, node in enumerate(_ordered(nodes).values())}
    lines = ["flowchart LR"]
    for node in _ordered(nodes).values():
        lines.append(
            f'    {names[node.id]}["{_coded(node.title)}<br/>{_coded(spoken(node.kind))}"]'
        )
    for link in _within(links, names):
        arrow = "-.->" if link.feedback else _ARROWS.get(link.layer, "-->")
        label = f'|"{_coded(_label(link))}"|' if _label(link) else ""
        lines.append(f"    {names[link.start]} {arrow}{label} {names[link.end]}")
    return "\n".join(lines) + "\n"


def dot(nodes: Iterable[Node], links: Iterable[Link]) -> str:
    r"""
    Return a Graphviz graph.

    >>> print(dot([Node("d", "plays", "dataset")], []), end="")
    digraph lineage {
      rankdir=LR;
      node [shape=box, style=rounded];
      "d" [label="plays\ndataset"];
    }
    """
    known = _ordered(nodes)
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    for node in known.values():
        label = f"{_quoted(node.title)}\\n{_quoted(spoken(node.kind))}"
        lines.append(f'  "{_quoted(node.id)}" [label="{label}"];')
    for link in _within(links, known):
        style = "dotted" if link.feedback else _STYLES.get(link.layer, "solid")
        free = ", constraint=false" if link.feedback else ""
        ends = f'"{_quoted(link.start)}" -> "{_quoted(link.end)}"'
        lines.append(f'  {ends} [label="{_quoted(_label(link))}", style={style}{free}];')
    return "\n".join([*lines, "}"]) + "\n"


def _ordered(nodes: Iterable[Node]) -> dict[str, Node]:
    return {node.id: node for node in sorted(nodes, key=lambda node: (node.id, repr(node)))}


def _within(links: Iterable[Link], known: Iterable[str]) -> list[Link]:
    inside = frozenset(known)
    chosen = {link for link in links if link.start in inside and link.end in inside}
    return sorted(chosen, key=lambda link: (link.start, link.end, link.label, repr(link)))


def _label(link: Link) -> str:
    return f"{link.label}?" if link.possible else link.label


def _coded(words: str) -> str:
    """Return *words* for a quoted Mermaid text, everything special as a character code."""
    return "".join(
        character if character.isalnum() or character in " -_./:?" else f"#{ord(character)};"
        for character in clean(words)
    )


def _quoted(words: str) -> str:
    return clean(words).replace("\\", "\\\\").replace('"', '\\"')
