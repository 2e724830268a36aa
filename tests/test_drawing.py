"""Pictures of lineage: where things stand, and the files that show them."""

import re
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.surfaces import drawing
from lineal.surfaces.drawing import (
    STYLE,
    Layout,
    Link,
    Node,
    Place,
    dot,
    layout,
    legend,
    mermaid,
    svg_file,
    svg_inline,
)
from lineal.surfaces.drawing.badges import KINDS, badge

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "a<b>&\"' ]]> \x00\x08\x1b\x85\ud800\udfff\ufffe\u202e\n--><script>alert(1)</script> 日本 👩‍🔬"
)
IDS = "abcdefghij"


def chain(*ids: str, label: str = "feeds") -> list[Link]:
    """Links from each id to the next."""
    return [Link(start, end, label) for start, end in pairwise(ids)]


def things(*ids: str) -> list[Node]:
    """Plain nodes named by their ids."""
    return [Node(id_, f"thing {id_}", "dataset") for id_ in ids]


def draw(picture: Layout) -> ElementTree.Element:
    """The picture as a parsed file."""
    return ElementTree.fromstring(svg_file(picture, title="Lineage", description="A test"))


def columns(picture: Layout) -> dict[str, int]:
    """The column of each node."""
    return {place.node.id: place.column for place in picture.places}


def clear(one: Place, other: Place) -> bool:
    """Whether two places do not overlap."""
    beside = one.right <= other.left or other.right <= one.left
    return beside or one.bottom <= other.top or other.bottom <= one.top


links = st.lists(
    st.builds(
        Link,
        start=st.sampled_from(IDS),
        end=st.sampled_from(IDS),
        label=st.sampled_from(["", "feeds", "trained_for"]),
        layer=st.sampled_from(["declared", "observed", "inferred", "suggested", "rumoured"]),
        feedback=st.booleans(),
        possible=st.booleans(),
    ),
    max_size=25,
)


@given(links=links, random=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_input_does_not_matter(links, random):
    """The same things give the same picture, whatever order they come in."""
    nodes = things(*IDS)
    before = layout(nodes, links, focus="c")
    random.shuffle(nodes)
    random.shuffle(links)

    assert layout(nodes, links, focus="c") == before
    assert mermaid(nodes, links) == mermaid(things(*IDS), links[::-1])
    assert dot(nodes, links) == dot(things(*IDS), links[::-1])


@given(links=links)
@settings(max_examples=100, deadline=None)
def test_every_picture_keeps_its_promises(links):
    """Nothing overlaps, nothing is lost, and only a way back runs to the left."""
    picture = layout(things(*IDS), links, focus="c")
    column = columns(picture)
    drawn = draw(picture)

    assert all(clear(one, other) for one, other in combinations(picture.places, 2))
    assert sorted(column) == list(IDS)
    assert {route.link for route in picture.routes} == set(links)
    assert len(picture.routes) == len(set(links))
    for route in picture.routes:
        forward = column[route.link.start] < column[route.link.end]
        assert forward or route.back
    assert len(drawn.findall(f".//{SVG}g[@class='lg-nodes']/*")) == len(IDS)
    assert len(drawn.findall(f".//{SVG}g[@class='lg-links']/*")) == len(set(links))


@given(links=links)
@settings(max_examples=60, deadline=None)
def test_everything_lies_inside_the_picture(links):
    picture = layout(things(*IDS), links, focus=None)
    right, bottom = picture.left + picture.width, picture.top + picture.height

    for route in picture.routes:
        if "C" in route.path and route.heading == "down":
            continue
        numbers = re.sub(r"H(\S+?)(?=[A-Z]|$)", r"", route.path)
        points = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        assert all(picture.left <= x <= right for x in points[::2])
        assert all(picture.top <= y <= bottom for y in points[1::2])


@given(text=st.text(max_size=40) | st.just(HOSTILE))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_well_formed_files(text):
    nodes = [Node(text, text, text, text, href=text, focus=True), Node("z", "z", "run")]
    drawn = layout(nodes, [Link(text, "z", text, text, possible=True)], focus=text)

    for svg in (svg_file, svg_inline):
        written = svg(drawn, title=text, description=text)
        ElementTree.fromstring(written.encode())
        assert "<script" not in written
    mermaid(nodes, []).encode()
    dot(nodes, []).encode()


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", " JaVaScRiPt:x", "data:text/html,x", "", None]
)
def test_an_address_that_leads_to_no_page_is_no_link(href):
    picture = layout([Node("a", "a", "model", href=href)], [], focus="a")

    assert "<a " not in svg_inline(picture, title="", description="")


def test_an_empty_graph_is_a_picture():
    picture = layout([], [], focus=None)

    assert (picture.places, picture.routes) == ((), ())
    assert picture.width > 0 < picture.height
    assert draw(picture).tag == f"{SVG}svg"


def test_the_focus_is_the_origin():
    """So that it can stay where it is on the screen while the graph around it grows."""
    small = layout(things("b", "c"), chain("b", "c"), focus="c")
    large = layout(things(*IDS), chain(*IDS), focus="c")

    for picture in (small, large):
        place = next(place for place in picture.places if place.node.id == "c")
        assert (place.x, place.y) == (0, 0)


def test_a_long_chain_is_a_straight_line():
    ids = [f"{number:04}" for number in range(1500)]
    picture = layout(things(*ids), chain(*ids), focus=None)

    assert list(columns(picture)) == ids
    assert {place.y for place in picture.places} == {0}


def test_long_links_beyond_measure_run_around():
    """A thousand links across everything must not take a million bends."""
    ids = [f"{number:03}" for number in range(200)]
    across = [Link(ids[0], end, "feeds", layer) for end in ids[2:] for layer in ("observed", "x")]
    across += [Link(start, ids[-1], "feeds") for start in ids[1:-2]]
    picture = layout(things(*ids), chain(*ids) + across, focus=ids[100])

    assert len(picture.routes) == len(set(across)) + len(ids) - 1


def test_a_cycle_has_one_way_back():
    picture = layout(things("a", "b", "c"), chain("a", "b", "c", "a"), focus="b")

    assert [route.link.start for route in picture.routes if route.back] == ["c"]


def test_feedback_does_not_say_where_things_stand():
    firm = chain("a", "b", "c")
    picture = layout(things("a", "b", "c"), [*firm, Link("c", "a", "", feedback=True)], focus="a")

    assert columns(picture) == {"a": 0, "b": 1, "c": 2}


def test_a_link_to_itself_is_a_loop():
    picture = layout(things("a"), [Link("a", "a", "retries")], focus="a")

    assert [(route.back, route.heading) for route in picture.routes] == [(True, "down")]


def test_repeated_and_foreign_links_are_left_out():
    twice = [Link("a", "b", "feeds"), Link("a", "b", "feeds"), Link("a", "elsewhere", "feeds")]

    assert len(layout(things("a", "b"), twice, focus="a").routes) == 1


def test_links_between_the_same_two_do_not_hide_each_other():
    pair = [Link("a", "b", "feeds"), Link("a", "b", "trained_for", "inferred")]
    picture = layout(things("a", "b"), pair, focus="a")

    assert len({route.path for route in picture.routes}) == 2


def test_what_feeds_one_thing_stands_right_before_it():
    """A late input is not drawn at the far left only because nothing feeds it."""
    nodes = things("a", "b", "c", "late")
    picture = layout(nodes, [*chain("a", "b", "c"), Link("late", "c", "feeds")], focus="a")

    assert columns(picture)["late"] == 1


def test_a_wide_fan_becomes_a_block():
    """A hundred neighbours stand in several columns rather than in one endless one."""
    ids = [f"b{number:03}" for number in range(100)]
    for fan in ([Link("a", id_, "feeds") for id_ in ids], [Link(id_, "a", "feeds") for id_ in ids]):
        picture = layout(things("a", *ids), fan, focus="a")
        assert picture.height < 2000
        assert not any(route.back for route in picture.routes)


def test_nodes_are_read_from_left_to_right():
    nodes = [Node(id_, id_, "model-version", "v5", href=f"/e/{id_}", live=True) for id_ in "cba"]
    drawn = draw(layout(nodes, chain("c", "b", "a"), focus="b"))
    names = [link.get("aria-label") for link in drawn.iter(f"{SVG}a")]

    assert names == [f"model version {id_}, v5, live" for id_ in "cba"]
    assert drawn.get("role") == "graphics-document document"


def test_neighbours_not_drawn_are_counted():
    node = Node("a", "a", "dataset", upstream_more=12, downstream_more=95)
    written = svg_inline(layout([node], [], focus="a"), title="", description="")

    assert "+12" in written
    assert "95 more downstream" in written


def test_a_page_with_a_strict_policy_can_hold_the_picture():
    picture = layout(things("a", "b"), chain("a", "b"), focus="a")
    written = svg_inline(picture, title="T", description="D") + legend()

    assert "<style" not in written
    assert "style=" not in written
    assert STYLE in svg_file(picture, title="T", description="D")


def test_every_class_is_ours_by_its_prefix():
    node = Node("a", "a", "odd", href="/a", focus=True, live=True, faded=True, upstream_more=1)
    loop = Link("a", "a", "again", feedback=True, possible=True)
    written = svg_file(layout([node], [loop], focus="a"), title="", description="") + legend()

    classes = {name for found in re.findall(r'class="([^"]*)"', written) for name in found.split()}
    assert all(name == "lg" or name.startswith("lg-") for name in classes)


@pytest.mark.parametrize("kind", [*KINDS, "weird", "", "<", "日本"])
def test_every_kind_has_a_sign(kind):
    ElementTree.fromstring(f"<g>{badge(kind)}</g>")


def test_signs_differ_by_shape():
    shapes = [re.sub(r'class="[^"]*"', "", badge(kind)) for kind in KINDS]

    assert len(set(shapes)) == len(KINDS) == 23


def _light(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dark, bright = sorted((_light(one), _light(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_colours_have_enough_contrast(scheme):
    """WCAG 2.1 AA: 4.5 for text, 3 for lines and shapes, in each scheme of the stylesheet."""
    blocks = re.findall(r"\{ (--lg-[^}]*)\}", STYLE)
    colours = dict(re.findall(r"--lg-([\w-]+): (#\w+);", blocks[scheme]))
    texts = [("ink", "card"), ("soft", "card"), ("soft", "paper"), ("live", "card")]
    shapes = [(name, "paper") for name in ("line", "pale", "edge", "focus")]
    families = [(name.removesuffix("-tint"), name) for name in colours if name.endswith("-tint")]

    assert len(blocks) == 3
    for least, pairs in ((4.5, texts + families), (3.0, shapes)):
        faint = [(a, b) for a, b in pairs if _contrast(colours[a], colours[b]) < least]
        assert faint == []


def test_exports_escape_what_is_special():
    nodes = [Node('a"\\', 'say "hi" [x]; #1 <b>', "model"), Node("b", "end", "run")]
    pair = [Link('a"\\', "b", 'a|b"', "inferred")]

    assert '"a\\"\\\\" -> "b" [label="a|b\\"", style=dashed];' in dot(nodes, pair)
    assert 'n0["say #34;hi#34; #91;x#93;#59; #35;1 #60;b#62;<br/>model"]' in mermaid(nodes, pair)
    assert 'n0 -.->|"a#124;b#34;"| n1' in mermaid(nodes, pair)


def test_every_process_draws_the_same():
    """No order of a set or of hashes leaks into the picture."""
    code = (
        "from lineal.surfaces.drawing import *\n"
        "ids = [f'n{i}' for i in range(40)]\n"
        "links = [Link(a, ids[(i * 7 + 3) % 40], 'x') for i, a in enumerate(ids)]\n"
        "links += [Link(a, ids[(i * i + 5) % 40], 'y') for i, a in enumerate(ids)]\n"
        "nodes = [Node(i, i, 'run') for i in ids]\n"
        "print(svg_file(layout(nodes, links, focus='n3'), title='', description=''))"
    )
    path = ":".join(sys.path)
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(seen) == 1


def test_the_public_names_are_exactly_these():
    public = {name for name in vars(drawing) if not name.startswith("_")}
    modules = {"badges", "columns", "exports", "routes", "rows", "style", "svg", "text", "things"}

    assert set(drawing.__all__) == public - modules
