"""Answers of walks as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from lineal.surfaces.cli.listed import THING, counted, names, row_of
from lineal.surfaces.cli.showing import line, table

if TYPE_CHECKING:
    from lineal.client.answers import Common, Cycle, Impact, Lineage, Node, Shared
    from lineal.client.answers import Path as Way

Parts = Iterator[RenderableType]


def lineage(value: Lineage) -> Parts:
    """Show everything on the way, from the farthest upstream to the farthest downstream."""
    yield line(f"Upstream of {names(value['starts'])}: {counted(value['upstream'])}.")
    yield line(f"Downstream: {counted(value['downstream'])}.")
    ordered = sorted(value["nodes"], key=lambda node: (node["depth"], node["type"], node["name"]))
    rows = [(_depth(node), *row_of(node), _marks(node)) for node in ordered]
    yield table(("step", *THING, "marks"), rows)
    yield from _cycles(value["cycles"])


def _cycles(cycles: Sequence[Cycle]) -> Parts:
    """Tell where data goes round."""
    for cycle in cycles:
        by = ", closed by feedback only" if cycle["feedback"] else ""
        yield line(f"A cycle of {cycle['size']} things{by}: {cycle['words']}.")


def between(value: Lineage) -> Parts:
    """Show all that lies between two things, from the one that feeds the other."""
    if not value["arrows"]:
        yield line(f"No way leads from one to the other: {names(value['starts'])}.")
        return
    first, last = value["starts"]
    yield line(f"Between {first['name']} and {last['name']}: {counted(value['downstream'])}.")
    rows = [(node["depth"], *row_of(node), _marks(node)) for node in value["nodes"]]
    yield table(("step", *THING, "marks"), rows)
    yield from _cycles(value["cycles"])


def common(value: Common) -> Parts:
    """Show what several things have in common."""
    side = "upstream" if value["upstream"] else "downstream"
    yield line(f"{names(value['starts'])} have in common {side}: {counted(value['by_type'])}.")
    rows = [
        (*row_of(one), ", ".join(map(str, one["depths"])), _common_marks(one))
        for one in value["things"]
    ]
    if rows:
        yield table((*THING, "steps", "marks"), rows)


def _common_marks(one: Shared) -> str:
    marks = {"nearest": one["nearest"], "live": one["live"], "possible": one["possible"]}
    return ", ".join(name for name, is_so in marks.items() if is_so)


def _depth(node: Node) -> str:
    return f"{node['depth']:+d}" if node["depth"] else "0"


def _marks(node: Node) -> str:
    marks = {
        "live": node["live"], "possible": node["possible"], "approximate": node["approximate"]
    }  # fmt: skip
    return ", ".join(name for name, is_so in marks.items() if is_so)


def paths(value: list[Way]) -> Parts:
    """Show each way in words, then step by step."""
    if not value:
        yield line("No way leads from one to the other.")
    for number, path in enumerate(value, 1):
        yield line(f"{number}. {path['words']} ({path['weakest']})")
        yield from _weakest(path)
        rows = [(arrow["start"], arrow["kind"], arrow["end"], arrow["layer"])
                for arrow in path["arrows"]]  # fmt: skip
        yield table(("from", "kind", "to", "layer"), rows)


def _weakest(path: Way) -> Parts:
    """Say which link of a way is believed least, where they are not all alike."""
    link = path["weakest_link"]
    alike = {(arrow["layer"], arrow["possible"]) for arrow in path["arrows"]}
    if link is not None and len(alike) > 1:
        how = f"{link['layer']}, possible" if link["possible"] else link["layer"]
        yield line(f"   Weakest link ({how}): {link['start']} {link['kind']} {link['end']}")


def impact(value: Impact) -> Parts:
    """Show what a change would touch, and who must be told."""
    starts = names(value["starts"])
    yield line(f"A change of {starts} touches {counted(value['by_type'])}; {value['live']} live.")
    rows = [
        (hit["name"], hit["type"], hit["live"], hit["depth"], hit["layer"],
         names(hit["owners"]), hit["path"])
        for hit in value["hits"]
    ]  # fmt: skip
    if rows:
        yield table(("name", "type", "live", "steps", "layer", "owners", "how"), rows)
    told = [
        (told["owner"]["name"] if told["owner"] else "nobody", len(told["things"]),
         names(told["things"]), told["owner"]["uri"] if told["owner"] else None)
        for told in value["by_owner"]
    ]  # fmt: skip
    if told:
        yield table(("owner", "things", "which", "uri"), told, title="Who must be told")
