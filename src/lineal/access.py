"""Who may see and do what: the one place where viewers are made.

This version has one rule: whoever reaches this installation may read all of it, which is why it
answers on the loopback address only. Every read still takes a viewer, so that finer rules have
one place to go.
"""

from __future__ import annotations

from lineal.model import Viewer

#: The viewer of whoever works on this machine.
LOCAL = Viewer("local")


def visitor(name: str = "visitor") -> Viewer:
    """Return the viewer of a request that came to a surface."""
    return Viewer(name)
