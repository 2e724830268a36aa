"""Where code lies: addresses of repositories and of files in them, each with one URI."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

from lineal.model import Uri
from lineal.normalise.places import repository

#: Hosts that do not tell owners and repositories apart by case, and lead any spelling to one.
_FOLDING = frozenset({"github.com", "gitlab.com", "bitbucket.org"})
#: The ports that go without saying; SSH's never tells where a repository is.
_USUAL = frozenset({("https", 443), ("http", 80)})
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
#: What stands between a repository and the revision that a page shows.
_VIEW = re.compile(r"/(?:-/)?(?:blob|tree|raw|blame|edit)/")


def code(address: str, path: str = "", *, revision: str | None = None) -> Uri | None:
    """
    Return the URI of *path* in the repository at *address*, of the whole without a path.

    The address may be of a page that shows a file or folder: what it shows counts where no path is
    given. *revision* is the branch, tag or commit of that page, if it may hold a slash. None where
    the address is of this machine, or the path leads out of the repository.

    >>> code("git@github.com:Acme/ml.git", "./dags/train.py")
    Uri('mlg://code/github.com/acme/ml/dags/train.py')
    >>> code("https://gitlab.com/acme/core/ml/-/blob/main/dags/train.py")
    Uri('mlg://code/gitlab.com/acme/core/ml/dags/train.py')

    Raises:
        InvalidUri: a part of it cannot be one of a URI.
    """
    home, found, shown = _parted(address.partition("#")[0])
    scheme, _, rest = repository(home).partition("://")
    authority, _, place = rest.partition("/")
    host = _host(scheme, authority)
    root = [unquote(part) for part in place.split("/") if part]
    if not host or not root or _DRIVE.match(address.strip()):
        return None
    if host in _FOLDING:
        root = [part.lower() for part in root]
    inside = _inside(path or (_after_revision(unquote(shown), revision) if found else ""))
    return None if inside is None else Uri.of("code", host, *root, *inside)


def _parted(address: str) -> tuple[str, bool, str]:
    """Part the address of a page into its repository and what it shows there."""
    plain = address.partition("?")[0]
    found = _VIEW.search(plain) if "://" in plain else None
    # What comes before is an owner and a repository: either may be called like a view.
    while found and len(plain[: found.start()].partition("://")[2].split("/")) < 3:
        found = _VIEW.search(plain, found.start() + 1)
    if found is None:
        return plain, False, ""
    return plain[: found.start()], True, plain[found.end() :]


def _after_revision(shown: str, revision: str | None) -> str:
    if revision and f"{shown}/".startswith(f"{revision}/"):
        return shown[len(revision) :]
    return shown.partition("/")[2]


def _host(scheme: str, authority: str) -> str:
    """Return where it is, nothing for what is no address of another machine."""
    if scheme not in ("https", "http", "ssh", "git"):
        return ""
    host, _, port = authority.lower().rpartition(":")
    if not host or not port.isdecimal():
        return authority.lower()
    usual = scheme in ("ssh", "git") or (scheme, int(port)) in _USUAL
    return host if usual else f"{host}:{port}"


def _inside(path: str) -> list[str] | None:
    """Return the steps of a path in a repository; None where it leads out of it."""
    plain = path.strip().replace("\\", "/")
    steps = posixpath.normpath(plain.lstrip("/")).split("/") if plain else []
    if steps[:1] == [".."]:
        return None
    return [step for step in steps if step != "."]
