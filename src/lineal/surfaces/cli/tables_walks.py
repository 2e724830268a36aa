"""Answers of walks as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from lineal.surfaces.cli.listed import THING, counted, names, row_of
from lineal.surfaces.cli.showing import line, table

if TYPE_CHECKING:
    from lineal.client.answers import (
        Alike,
        Asset,
        Closure,
        Common,
        Cycle,
        Hit,
        Impact,
        Lineage,
        Member,
        Node,
        SchemaChanges,
        Shared,
        Told,
        Unused,
        Wanted,
    )
    from lineal.client.answers import (
        Path as Way,
    )

Parts = Iterator[RenderableType]
#: Of so many owners it is shown how much they own.
OWNERS = 10


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


def closure(value: Closure) -> Parts:
    """Show the counts of all that was reached, then the page."""
    side = "upstream" if value["upstream"] else "downstream"
    yield line(f"{side.capitalize()} of {names(value['starts'])}: {counted(value['by_type'])}.")
    staged = {name or "no stage": count for name, count in value["by_stage"].items()}
    if staged.keys() - {"no stage"}:
        yield line(f"By stage: {counted(staged)}.")
    yield line(
        f"Live: {value['live']:,}. Owners: {value['owners']:,}. Domains: {value['domains']:,}."
    )
    owning = [
        (one["owner"]["name"] if one["owner"] else "nobody", f"{one['count']:,}")
        for one in value["by_owner"][:OWNERS]
    ]
    if owning:
        yield table(("owner", "things"), owning)
    holding = [
        (one["domain"]["name"] if one["domain"] else "none", f"{one['count']:,}")
        for one in value["by_domain"][:OWNERS]
    ]
    if value["domains"]:
        yield table(("domain", "things"), holding)
    rows = [(one["depth"], *row_of(one), _marks(one)) for one in value["things"]]
    if rows:
        yield table(("step", *THING, "marks"), rows)


def _depth(node: Node) -> str:
    return f"{node['depth']:+d}" if node["depth"] else "0"


def _marks(node: Node | Member) -> str:
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
    starts, change = names(value["starts"]), value["change"]
    meant = "A change" if change is None else _SAID[change["what"]]
    yield line(
        f"{meant} of {starts} touches {counted(value['by_type'])}; {value['live']} live, "
        f"{value['in_use']} of them in use."
    )
    if value["by_effect"]:
        yield line(f"By effect: {counted(value['by_effect'])}.")
    rows = [
        (hit["name"], hit["type"], _use(hit), hit["depth"], hit["layer"], names(hit["owners"]),
         hit["path"], *((hit["effect"], hit["why"]) if change is not None else ()))
        for hit in value["hits"]
    ]  # fmt: skip
    more = () if change is None else ("effect", "why")
    if rows:
        yield table(("name", "type", "live", "steps", "layer", "owners", "how", *more), rows)
    yield from _told(value["by_owner"], "Who must be told")


_SAID = {
    "dropped": "Dropping",
    "renamed": "Renaming",
    "retyped": "Another type",
    "redefined": "Another definition",
    "rolled_back": "Rolling back",
}


def _use(hit: Hit) -> str:
    return "in use" if hit["in_use"] else "live" if hit["live"] else ""


def _told(owners: Sequence[Told], title: str) -> Parts:
    rows = [
        (one["owner"]["name"] if one["owner"] else "nobody", one["count"], one["live"],
         counted(one["by_type"]), names(one["things"]), ", ".join(one["contacts"]),
         one["owner"]["uri"] if one["owner"] else None)
        for one in owners
    ]  # fmt: skip
    if rows:
        columns = ("owner", "things", "live", "types", "which", "contact", "uri")
        yield table(columns, rows, title=title)


def schema_changes(value: SchemaChanges) -> Parts:
    """Show the schema changes of a period, and whom each touches."""
    yield line(f"Schema changes found: {counted(value['by_what'])}.")
    rows = [
        (one["what"], one["thing"]["name"], one["thing"]["type"], one["attribute"], one["before"],
         one["after"], one["touched"], one["live"],
         ", ".join(told["owner"]["name"] if told["owner"] else "nobody"
                   for told in one["by_owner"]),
         one["because"]["t"], one["because"]["cause"], one["thing"]["uri"])
        for one in value["changes"]
    ]  # fmt: skip
    if rows:
        columns = ("what", "name", "type", "of it", "before", "after", "touches", "live", "owners",
                   "t", "cause", "uri")  # fmt: skip
        yield table(columns, rows)


# ── Use ──────────────────────────────────────────────────────────────────────────────────────────


def shared(value: list[Asset]) -> Parts:
    """Show the assets that most live consumers rest on."""
    rows = [
        (one["name"], one["type"], one["consumers"], one["teams"], names(one["consumed_by"]),
         names(one["of_teams"]), one["uri"])
        for one in value
    ]  # fmt: skip
    if not rows:
        yield line("Nothing was found on which anything live rests.")
        return
    yield table(("name", "type", "live consumers", "teams", "which", "of teams", "uri"), rows)


def unused(value: list[Unused]) -> Parts:
    """Show what nothing live or recent is made from."""
    rows = [
        (one["name"], one["type"], one["since"],
         one["last_used_by"]["name"] if one["last_used_by"] else "nothing ever",
         names(one["owners"]), one["uri"])
        for one in value
    ]  # fmt: skip
    if not rows:
        yield line("Nothing unused was found.")
        return
    yield table(("name", "type", "unused since", "last used by", "owners", "uri"), rows)


def wanted(value: list[Wanted]) -> Parts:
    """Show the features that models like one consume."""
    rows = [
        (one["thing"]["name"], f"{one['score']:.2f}", one["reason"], one["thing"]["uri"])
        for one in value
    ]
    if not rows:
        yield line("No feature was found that a model like it consumes and it does not.")
        return
    yield table(("feature", "score", "why", "uri"), rows)


def similar(value: list[Alike]) -> Parts:
    """Show what is like a model or feature."""
    rows = [
        (one["thing"]["name"], f"{one['score']:.2f}", len(one["shared"]), one["only_this"],
         one["only_other"], one["reason"], one["thing"]["uri"])
        for one in value
    ]  # fmt: skip
    if not rows:
        yield line("Nothing was found that shares what it consumes, or is consumed by.")
        return
    yield table(("name", "score", "shared", "only this", "only that", "why", "uri"), rows)
