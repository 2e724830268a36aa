"""Why an answer is not complete, in words. Pure."""

from __future__ import annotations

from lineal.model import Cut

#: What each limit says of what was being done; the numbers are those of the cut.
_WORDS = {
    ("depth", ""): "shown {done} steps deep; there is more",
    ("nodes", ""): "stopped at {done} things; the limit is {most}",
    ("nodes", "of all"): "stopped at {done} of {total} things; the limit is {most}",
    ("edges", ""): "stopped after {done} edges; the limit is {most}",
    ("edges", "of all"): (
        "stopped after {done} edges; the limit is {most}; {total} things are reached in all"
    ),
    ("edges", "first step"): (
        "stopped after {done} of the {total} edges at the first step; the limit is {most}"
    ),
    ("edges", "claims"): "stopped after {done} of the {total} claims of relations",
    ("edges", "history"): ("stopped after {done} edges; what happened to the others is not told"),
    ("edges", "claims not compared"): "what is said of {total} edges was not compared",
    ("rows", ""): "stopped after {done} rows of the database; the limit is {most}",
    ("time", ""): "stopped after {most} ms",
    ("time", "of all"): "stopped after {most} ms; {total} things are reached in all",
    ("time", "told"): "there was time to tell of {done} of the {total} things that were reached",
    ("time", "inferred"): "there was no time to see whether rules have concluded everything",
    ("time", "owners"): "there was time to look up the owners of {done} of {total} things",
    ("time", "looked at"): "there was time to look at {done} of {total}",
    ("time", "since"): "there was time to find out since when for {done} of {total}",
    ("time", "touched"): "there was time to find out whom {done} of {total} changes touch",
    ("time", "compared"): "there was time to compare {done} of the {total} that share any",
    ("time", "differing"): "there was time to compare {done} of {total} things that may differ",
    ("time", "candidates"): "there was no time to find all things that may differ",
    ("rows", "differing"): "{done} of {total} things that may differ were compared",
    ("time", "told of"): "there was time to tell of {done} of {total} differences",
    ("rows", "told of"): "{done} of {total} differences are told of",
    ("rows", "around"): "what is around it was not compared: that is more than may be read",
    ("time", "around"): "what is around it was not compared: there was no time to read all of it",
    ("sides", ""): (
        "{total} differences are left out that may only seem so, since one side was cut"
    ),
    ("list", ""): "{done} of {total} are listed",
    ("list", "transactions"): "the last {done} transactions are listed",
    ("list", "counted"): "{done} of {total} are listed; counts are of all",
    ("list", "things counted"): "{done} of {total} things are listed; counts are of all",
    ("list", "edges counted"): "{done} of {total} edges are listed; counts are of all",
    ("list", "names counted"): "{done} of {total} names are listed; counts are of all",
    ("list", "derivations"): "{done} of the {total} ways to conclude it are kept",
    ("list", "ways"): "of what is concluded in turn, {done} ways each are explained",
    ("list", "supports"): "{done} edges that it rests on are explained; the rest at its own place",
    ("depth", "reasons"): "explained {done} conclusions deep; there is more below",
    ("list", "findings"): "{done} of {total} findings are listed",
    ("list", "compared"): "{done} of the {total} that share any were compared",
    ("candidates", ""): "more than {done} things fit; the best of them are ranked",
    ("candidates", "newest"): "only the {done} newest things were compared",
    ("names", "crowded"): "{total} names are those of more than {most} things each",
    ("paths", ""): "there are too many ways to look at all of them",
}
#: What there may be a cut of, for tests and references.
KNOWN = frozenset(_WORDS)


def worded(cut: Cut) -> str:
    """
    Return a cut in words.

    >>> worded(Cut("depth", done=20, part=("downstream",)))
    'downstream: shown 20 steps deep; there is more'
    >>> worded(Cut("list", done=50, total=1200))
    '50 of 1,200 are listed'
    """
    numbers = {
        name: "?" if value is None else f"{value:,}"
        for name, value in (("done", cut.done), ("most", cut.most), ("total", cut.total))
    }
    said = _WORDS[cut.limit, cut.what].format(**numbers)
    return ": ".join([*(part.replace("-", " ") for part in cut.part), said])
