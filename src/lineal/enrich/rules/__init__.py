"""Rules: a path pattern and the edge that follows from it, declared as data.

``language`` reads the notation of paths, ``conditions`` what must hold on them, ``reading`` whole
files, which ``rule`` describes. ``touching`` finds what a change may touch, ``matching`` follows
the paths, ``book`` concludes, and ``telling`` puts a rule in words. Code that derives edges lives
here only.
"""

from lineal.enrich.rules.book import RuleBook
from lineal.enrich.rules.ordering import in_order
from lineal.enrich.rules.reading import builtin_rules, fixture_of, read_rule, read_rules
from lineal.enrich.rules.rule import Rule

__all__ = [
    "Rule",
    "RuleBook",
    "builtin_rules",
    "fixture_of",
    "in_order",
    "read_rule",
    "read_rules",
]
