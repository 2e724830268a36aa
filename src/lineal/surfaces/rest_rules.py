"""The REST API about rules: which there are, what they give, what one would give, and switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from lineal.errors import Invalid
from lineal.surfaces import formats_rules as formats
from lineal.surfaces.rest import PREFIX, Limit, Read, answered, json_response, problems
from lineal.surfaces.rest_models import Answered, EdgeName, Sent, Thing, _Model
from lineal.surfaces.rest_work import RulesWaiting

if TYPE_CHECKING:
    from lineal.app import Lineal

#: For how many seconds a dry run may go on looking: a server has others to answer.
MOST = 10.0
#: How long a rule that is tried may be.
LONGEST = 20_000


class Rule(_Model):
    """What a rule says, and how it stands."""

    name: str
    version: str
    kind: str = Field(description="The kind of the edges that it gives.")
    match: str = Field(description="The pattern, in openCypher's notation.")
    where: list[str] = Field(description="Conditions on it, in the Common Expression Language.")
    unless: list[str] = Field(description="Patterns that there must not be.")
    gives: str = Field(description="The edge that follows, in the same notation.")
    words: str = Field(description="The pattern in words.")
    layer: Literal["inferred", "suggested"]
    confidence: float = Field(description="How sure it is, above 0 to 1.")
    why: str = Field(description="The reason, with the pattern's names in braces.")
    means: str
    wrong_when: str
    builtin: bool = Field(description="True where it came with Lineal.")
    enabled: bool
    pending: bool = Field(description="Whether it has still something to do.")
    failed: int = Field(description="For how many things there are too many ways to conclude.")


class Rules(_Model):
    """Every rule, in the order in which they conclude."""

    value: list[Rule]
    pending: RulesWaiting


class RuleFailure(_Model):
    """A thing for which a rule concludes nothing."""

    uri: str
    error: str


class RuleShown(Rule):
    """One rule, and where it fails."""

    failures: list[RuleFailure]


class RuleEdge(_Model):
    """An edge that stands by a rule, and one of the reasons for it."""

    start: Thing
    kind: str
    end: Thing
    why: str


class DryRun(_Model):
    """What a rule would do if it were in use."""

    name: str
    version: str
    complete: bool = Field(description="False where the time was up before all was looked at.")
    looked_at: int = Field(description="How many things its conclusions were looked for at.")
    of: int = Field(description="How many there are.")
    gives: int = Field(description="How many edges it would give in all.")
    appear: int = Field(description="How many of them are not there yet.")
    vanish: int = Field(description="How many that stand by a rule of its name would go.")
    appearing: list[EdgeName] = Field(description="Some of them, the first by name.")
    vanishing: list[EdgeName]
    failed: list[str] = Field(description="Where there are too many ways to conclude anything.")


class Tried(Sent):
    """Which rule is tried: one that is in use, by name, or the text of a file."""

    name: str | None = Field(None, max_length=64)
    text: str | None = Field(None, max_length=LONGEST, description="A rule as YAML.")
    file: str = Field("rule.yaml", max_length=200, description="What to call the text in errors.")


class Decided(Sent):
    """Who switches a rule, and why: it is kept."""

    actor: str = Field("visitor", min_length=1, max_length=200)
    reason: str = Field("", max_length=2_000)


class Switched(_Model):
    """What came of it; what follows from it is done in the background."""

    name: str
    enabled: bool
    changed: bool = Field(description="False where it was so already.")


Named = Annotated[str, Path(max_length=64, description="A rule such as `trained_for`.")]


def router(lineal: Lineal) -> APIRouter:
    """Return every endpoint about rules."""
    api = APIRouter(prefix=PREFIX, tags=["rules"])
    _add_reads(api, lineal)
    _add_switches(api, lineal)

    @api.post("/rules/dry-run", response_model=DryRun, responses=problems(404, 422, 503))
    def dry_run(tried: Tried) -> Response:
        """Return what a rule would give over all that is known now; nothing is written."""
        ruling = lineal.ruling
        if (tried.name is None) == (tried.text is None):
            raise Invalid("One rule is tried.", fix="Give its name, or its text.")
        if tried.text is not None:
            rule = ruling.read(tried.text, tried.file.replace("/", "_"))
        else:
            rule = ruling.rule(str(tried.name))
        return json_response(formats.dry_run(ruling.dry_run(rule, most=MOST)))

    return api


def _add_reads(api: APIRouter, lineal: Lineal) -> None:
    @api.get("/rules", **answered(Rules))
    def rules() -> Response:
        """Return every rule, how it stands, and how much they have still to do."""
        standing, pending = lineal.ruling.standing(), lineal.ruling.pending()
        return json_response(formats.rules(standing, pending, lineal.shapes))

    @api.get("/rules/{name}", **answered(RuleShown, 404))
    def rule(name: Named) -> Response:
        """Return one rule: what it says, how it stands, where it fails."""
        stand, failures = lineal.ruling.stands(name), lineal.ruling.failures(name)
        return json_response(formats.shown(stand, failures, lineal.shapes))

    @api.get("/rules/{name}/edges", **answered(Answered[list[RuleEdge]], 404))
    def edges(name: Named, read: Read, limit: Limit = 50) -> Response:
        """Return edges that stand by a rule, each with a reason, and how many there are."""
        lineal.ruling.rule(name)
        found = lineal.ask.concluded(read.viewer, name, read.moment, limit=limit)
        return json_response(formats.concluded(found))


def _add_switches(api: APIRouter, lineal: Lineal) -> None:
    @api.post("/rules/{name}/enable", response_model=Switched, responses=problems(404, 422, 503))
    def enable(name: Named, said: Decided) -> Response:
        """Let a rule conclude again."""
        return json_response(_switched(lineal, name, said, enabled=True))

    @api.post("/rules/{name}/disable", response_model=Switched, responses=problems(404, 422, 503))
    def disable(name: Named, said: Decided) -> Response:
        """Withdraw all that a rule concluded, and let it conclude nothing."""
        return json_response(_switched(lineal, name, said, enabled=False))


def _switched(lineal: Lineal, name: str, said: Decided, *, enabled: bool) -> dict[str, object]:
    changed = lineal.switch_rule(name, enabled=enabled, actor=said.actor, reason=said.reason)
    return {"name": name, "enabled": enabled, "changed": changed}
