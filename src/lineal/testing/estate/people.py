"""The people of the estate: organisations, teams, leavers, and addresses of nobody."""

from __future__ import annotations

from random import Random

from lineal.testing.estate.records import Team, User
from lineal.testing.estate.shelves import Shelves

#: Each domain is an organisation with these teams.
TEAMS: dict[str, tuple[str, ...]] = {
    "personalization": ("rank", "home", "search", "member-signals", "discovery"),
    "studio": ("embeddings", "scripts", "dubbing", "production-planning", "artwork"),
    "payments": ("fraud", "billing", "checkout", "invoicing", "gift-cards"),
    "ads": ("bidding", "measurement", "creatives", "targeting", "pacing"),
}

#: A list, and somebody nobody knows: no person's record states these addresses.
MAILING_LIST = "ml-all@lists.example.com"
NOBODY = "ghost@example.com"
#: The second address of bob, under which he owns something.
SECOND_ADDRESS = "robert.jones@example.com"

_FIRST = (
    "Ana Ben Chloé Dmitri Elif Farid Grace Hiro Ines Jonas Kofi Lena Mei Nils Olga Pablo Quentin "
    "Rosa Sven Tara Umar Vera Wanda Xenia Yusuf Zoë"
)
_LAST = (
    "Adler Brandt Castro Dubois Eriksen Fischer Garcia Haddad Ito Jensen Kaya Lindgren Moreau "
    "Novak Okafor"
)
_TITLES = (
    "ML Engineer",
    "Data Engineer",
    "Data Scientist",
    "Product Manager",
    "Research Scientist",
)
_PLAIN = str.maketrans("éë", "ee")


def hire(world: Shelves, rng: Random, *, people: int) -> None:
    """Put organisations, teams and about *people* people on the shelves."""
    _named(world)
    logins = _invented(world, rng, people)
    for domain, teams in TEAMS.items():
        world.put(Team(domain, domain.title(), (), None))
        for slug in teams:
            members = rng.sample(logins, min(len(logins), rng.randint(4, 9)))
            world.put(Team(slug, slug.replace("-", " ").title(), tuple(members), domain))
    rank = world.teams["rank"]
    others = tuple(login for login in rank.members if login not in ("alice", "bob"))
    world.put(Team(rank.id, rank.name, ("alice", "bob", *others), rank.parent))
    world.versions[("team", "rank")] = 1


def _named(world: Shelves) -> None:
    """Put the people whom the traps know by name on the shelves."""
    world.put(User("alice", "Alice Smith", ("alice@example.com",), True, "ML Engineer"))
    world.put(User("bob", "Bob Jones", ("bob@example.com", SECOND_ADDRESS), True, "Data Engineer"))
    world.put(User("lee", "Lee Gone", ("lee@example.com",), False, "Data Scientist"))


def _invented(world: Shelves, rng: Random, people: int) -> list[str]:
    """Put people with made-up names on the shelves; about one in fifteen has left."""
    names = [(first, last) for first in _FIRST.split() for last in _LAST.split()]
    logins = []
    for first, last in rng.sample(names, people):
        login = f"{first}.{last}".lower().translate(_PLAIN)
        active = rng.random() > 0.07
        world.put(
            User(login, f"{first} {last}", (f"{login}@example.com",), active, rng.choice(_TITLES))
        )
        logins.append(login)
    return logins
