"""The source file: which fields a declared source has, as it is written, and its JSON Schema.

Only the form is known here. `sources.plan` checks what the fields say and compiles them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from lineal.model import Json
from lineal.sources.said import (
    CodeName,
    DatasetName,
    EdgeRule,
    Expr,
    Part,
    PartRule,
    Reference,
    Target,
    Texts,
    Value,
    Values,
    Word,
)
from lineal.sources.schedule import checked


class Basic(Part, frozen=True):
    """A name and a password."""

    user: Annotated[str, Meta(description="The name, or a reference to it.")]
    password: Annotated[Reference, Meta(description="A reference to the password.")]


class Header(Part, frozen=True):
    """A header that holds a secret."""

    name: Annotated[str, Meta(description="The name of the header, such as X-Api-Key.")]
    value: Annotated[Reference, Meta(description="A reference to its value.")]


class Auth(Part, frozen=True):
    """How we say who we are, by reference: `env:NAME` or `file:/path`, never the secret."""

    bearer: Annotated[Reference | None, Meta(description="A reference to a bearer token.")] = None
    basic: Annotated[Basic | None, Meta(description="User and password.")] = None
    header: Annotated[Header | None, Meta(description="Any other header.")] = None

    def __post_init__(self) -> None:
        if sum(form is not None for form in (self.bearer, self.basic, self.header)) != 1:
            raise ValueError("Give exactly one of `bearer`, `basic` and `header`")


class Limits(Part, frozen=True):
    """How gently the source is asked."""

    requests_per_second: Annotated[
        float, Meta(gt=0, description="Requests a second, over all threads.")
    ] = 10
    concurrency: Annotated[int, Meta(ge=1, le=100, description="Requests at the same time.")] = 4
    timeout: Annotated[
        float, Meta(gt=0, le=600, description="Seconds for a whole request and its answer.")
    ] = 30
    connect_timeout: Annotated[
        float, Meta(gt=0, le=60, description="Seconds until a connection stands.")
    ] = 5
    megabytes: Annotated[
        float, Meta(gt=0, le=1000, description="The largest answer, after decompression.")
    ] = 10


#: What becomes of a document of which something does not fit.
Policy: TypeAlias = Literal["store", "quarantine", "reject"]


class Unfit(Part, frozen=True):
    """
    What becomes of a document of which something does not fit.

    `store`: it is taken in, and the finding is shown. `quarantine`: it is put aside as a dead
    letter until somebody has mended the file or the shape and replays it. `reject`: it is refused.
    With the latter two, what was known before stays.
    """

    values: Annotated[
        Policy, Meta(description="An attribute's value is not of the type that its shape says.")
    ] = "store"
    attributes: Annotated[Policy, Meta(description="An attribute that no shape knows.")] = "store"
    edges: Annotated[Policy, Meta(description="An edge that no shape allows.")] = "store"
    fields: Annotated[
        Policy,
        Meta(
            description="A top-level field of the document that nothing maps, and `ignore` lacks."
        ),
    ] = "store"


class Gone(Part, frozen=True):
    """What a real 'no such thing' looks like: a 404 or 410 that does not is not believed."""

    content_type: Annotated[
        str | None, Meta(description="Its content type; that of the source if not given.")
    ] = None
    when: Annotated[
        Expr | None,
        Meta(description="Must hold of the answer; a plain text is given as text, `@`."),
    ] = None


class EventRule(Part, frozen=True):
    """Which documents an event marks as changed."""

    match: Annotated[
        dict[str, Word | list[Word]],
        Meta(description="Fields of the event and the value, or list of values, each must have."),
    ] = field(default_factory=dict)
    when: Annotated[Expr | None, Meta(description="A condition on the event.")] = None
    resource: Annotated[str | None, Meta(description="The resource that changed.")] = None
    each: Annotated[
        Expr | None, Meta(description="A list in the event, one document for each item.")
    ] = None
    key: Annotated[
        str | dict[str, Expr] | None,
        Meta(description="Where in the event the parts of the document's key stand."),
    ] = None
    deleted: Annotated[
        bool | str, Meta(description="True, or a condition: the event says that it is gone.")
    ] = False
    version: Annotated[
        Expr | None,
        Meta(
            description="How new the document is by now, in the terms of the resource's `version`: "
            "an answer that is older is asked for again."
        ),
    ] = None
    ignore: Annotated[bool, Meta(description="Such events are known and mean nothing.")] = False

    def __post_init__(self) -> None:
        if not self.match and self.when is None:
            raise ValueError("An event needs `match` or `when`")
        if (self.resource is None) != self.ignore:
            raise ValueError("An event needs a `resource`, or `ignore: true`")


class Subject(Part, frozen=True):
    """The thing that a document is about, named from its key."""

    type: Annotated[str, Meta(description="Its type.")]
    platform: Annotated[
        str | None, Meta(description="Its platform; that of the file if not given.")
    ] = None
    id: Annotated[
        Texts | None,
        Meta(
            description="Its segments, as templates over the key's parts: `{db}.{name}`. "
            "If not given, each part of the key is a segment."
        ),
    ] = None


class Fetch(Part, frozen=True):
    """How one document is asked for."""

    path: Annotated[
        str,
        Meta(description="The path after `base_url`; `{part}` is a part of the key, encoded."),
    ]
    params: Annotated[
        dict[str, str],
        Meta(description="Arguments after the question mark; `{part}` as in the path."),
    ] = field(default_factory=dict)
    item: Annotated[Expr, Meta(description="Where in the answer the document is.")] = "@"
    verify: Annotated[
        bool, Meta(description="The document must name its own key; false if it cannot.")
    ] = True


class Together(Part, frozen=True):
    """How several documents are asked for by one request."""

    path: Annotated[str, Meta(description="The path after `base_url`.")]
    param: Annotated[str, Meta(description="The argument that takes the keys.")]
    params: Annotated[
        dict[str, str], Meta(description="Further arguments after the question mark.")
    ] = field(default_factory=dict)
    part: Annotated[
        str, Meta(description="The part of the key that is given; it must be the only one.")
    ] = "id"
    separator: Annotated[
        str,
        Meta(description="What stands between the keys; empty: the argument is given for each."),
    ] = ","
    size: Annotated[int, Meta(ge=2, le=500, description="How many keys one request takes.")] = 50
    items: Annotated[Expr, Meta(description="Where in the answer the documents are.")] = "@"


class Paging(Part, frozen=True):
    """How a list goes on."""

    style: Annotated[
        Literal["cursor", "page", "offset", "after", "link"],
        Meta(
            description="`cursor`: the answer holds the next token. `page`: pages are counted. "
            "`offset`: items are counted. `after`: the last item's value. `link`: the answer "
            "holds the next address."
        ),
    ]
    param: Annotated[str, Meta(description="The argument that says where to go on.")] = ""
    size_param: Annotated[str, Meta(description="The argument for the size of a page.")] = ""
    size: Annotated[int, Meta(ge=1, description="How many items to ask for.")] = 100
    first: Annotated[int | None, Meta(description="The number of the first page or item.")] = None
    next: Annotated[
        Expr | None,
        Meta(
            description="`cursor`: the next token. `link`: the next address; without it the "
            "header Link counts. `after`: the value, asked of the last item."
        ),
    ] = None
    more: Annotated[
        Expr | None, Meta(description="A condition on the answer: there is another page.")
    ] = None
    total: Annotated[
        Expr | None, Meta(description="How many pages (`page`) or items (`offset`) there are.")
    ] = None

    def __post_init__(self) -> None:
        if self.style != "link" and not self.param:
            raise ValueError(f"Paging by {self.style} needs `param`")
        if self.style in ("cursor", "after") and self.next is None:
            raise ValueError(f"Paging by {self.style} needs `next`")


class Listing(Part, frozen=True):
    """How everything there is of a resource is listed."""

    path: Annotated[str, Meta(description="The path after `base_url`.")]
    params: Annotated[dict[str, str], Meta(description="Arguments after the question mark.")] = (
        field(default_factory=dict)
    )
    body: Annotated[
        dict[str, Any] | None,
        Meta(
            description="If given, the list is asked for by POST with this as JSON, and what pages "
            "add stands in it instead of after the question mark. Only for what changes nothing."
        ),
    ] = None
    items: Annotated[Expr, Meta(description="Where in the answer the list is.")] = "@"
    key: Annotated[
        str | dict[str, Expr] | None,
        Meta(description="Where in an item its key stands; as in the document if not given."),
    ] = None
    version: Annotated[
        Expr | None, Meta(description="What changes with the document: an ETag, a version.")
    ] = None
    full: Annotated[
        bool,
        Meta(description="Each item is the whole document; without `version` its hash is one."),
    ] = False
    paging: Annotated[Paging | None, Meta(description="If not given, there is one page.")] = None


class Resource(Part, frozen=True):
    """One sort of document: how it is asked for, and what it says in our words."""

    subject: Annotated[Subject, Meta(description="The thing that a document is about.")]
    key: Annotated[
        str | dict[str, Expr],
        Meta(
            description="Where in the document its key stands. One expression is the part "
            "`{id}`; a mapping gives each part a name."
        ),
    ] = "id"
    fetch: Annotated[Fetch | None, Meta(description="How one document is asked for.")] = None
    batch: Annotated[
        Together | None, Meta(description="How several are asked for by one request.")
    ] = None
    list_: Annotated[Listing | None, Meta(description="How all are listed.")] = field(
        default=None, name="list"
    )
    map: Annotated[
        Values,
        Meta(description="The subject's attributes: where each is found, an expression or more."),
    ] = field(default_factory=dict)
    valid_from: Annotated[Expr | None, Meta(description="Since when what it says is so.")] = None
    said_at: Annotated[
        Expr | None,
        Meta(description="When the source wrote this document; an older never replaces a newer."),
    ] = None
    version: Annotated[
        Expr | None,
        Meta(
            description="How new the document is: a number that grows, or a time; `said_at` if "
            "not given. Held against the `version` of an event."
        ),
    ] = None
    edges: Annotated[list[EdgeRule], Meta(description="What the subject is related to.")] = field(
        default_factory=list
    )
    parts: Annotated[
        list[PartRule], Meta(description="Further things that the document describes.")
    ] = field(default_factory=list)
    ignore: Annotated[
        list[str],
        Meta(description="Fields of the document that are known and mean nothing here."),
    ] = field(default_factory=list)


class FileRule(Part, frozen=True):
    """Files that hold documents."""

    path: Annotated[
        str, Meta(description="A path under the folder that is read; `*` and `**` are wild.")
    ]
    resource: Annotated[str, Meta(description="What an item in it is.")]
    format: Annotated[
        Literal["json", "jsonl", "yaml", "toml"] | None,
        Meta(description="If not given, the ending says it; `.gz` may follow."),
    ] = None
    items: Annotated[
        Expr | None,
        Meta(description="Where in a document the list of items is; else it is one item."),
    ] = None
    when: Annotated[Expr | None, Meta(description="Only items of which this holds.")] = None
    group_by: Annotated[
        Expr | None,
        Meta(description="Items that agree in this are one document: {key: …, items: […]}."),
    ] = None
    name_as: Annotated[
        str | None,
        Meta(description="The file's name, without folder and ending, is put in under this."),
    ] = None
    path_as: Annotated[
        str | None,
        Meta(description="The file's path under the folder that is read is put in under this."),
    ] = None


class Reviewers(Part, frozen=True):
    """Where the CODEOWNERS file of one repository is: who reviews what lies in it is read there."""

    repository: Annotated[
        str, Meta(description="The address of the repository, in any usual spelling.")
    ]
    file: Annotated[
        str | None, Meta(description="The CODEOWNERS file, as seen from the folder of this file.")
    ] = None
    path: Annotated[
        str | None, Meta(description="Or its path after `base_url`, if it is asked for there.")
    ] = None
    params: Annotated[dict[str, str], Meta(description="Arguments after the question mark.")] = (
        field(default_factory=dict)
    )
    dialect: Annotated[
        Literal["github", "gitlab"] | None,
        Meta(
            description="Whose reading of such files counts; `gitlab` where the repository's host "
            "says so, else `github`."
        ),
    ] = None
    directory: Annotated[
        str, Meta(description="The platform of people and teams that it names with an `@`.")
    ] = "directory"

    def __post_init__(self) -> None:
        if (self.file is None) == (self.path is None):
            raise ValueError("`codeowners` has either `file` or `path`")


class SourceFile(Part, frozen=True):
    """One tool, declared: how it is asked and what its documents say in our words."""

    source: Annotated[
        str,
        Meta(pattern="^[a-z][a-z0-9_.-]{0,63}$", description="The source's name, unique."),
    ]
    resources: Annotated[
        dict[str, Resource], Meta(min_length=1, description="Its sorts of documents, by name.")
    ] = field(default_factory=dict)
    codeowners: Annotated[
        Reviewers | None, Meta(description="Or it is a CODEOWNERS file, and has no `resources`.")
    ] = None
    description: Annotated[str, Meta(description="What this source is, for people.")] = ""
    environment: Annotated[
        str | None, Meta(description="Its things get it as attribute `environment`.")
    ] = None
    platform: Annotated[
        str | None, Meta(description="The platform where a subject or target names none.")
    ] = None
    aliases: Annotated[
        dict[str, str], Meta(description="OpenLineage namespaces and the platforms they mean.")
    ] = field(default_factory=dict)
    rewrites: Annotated[
        dict[str, str],
        Meta(
            description="Names of data sets that mean others: `namespace old.*` and "
            "`namespace new.*`. Stated as `same_as`, with evidence `rewrite`."
        ),
    ] = field(default_factory=dict)
    base_url: Annotated[str | None, Meta(description="The address that paths are added to.")] = None
    auth: Annotated[Auth | None, Meta(description="How we say who we are.")] = None
    headers: Annotated[
        dict[str, str], Meta(description="Further headers, none of them secret.")
    ] = field(default_factory=dict)
    allow_private: Annotated[
        bool, Meta(description="The source may stand in a private network or on this machine.")
    ] = False
    content_type: Annotated[
        str,
        Meta(
            description="What its answers must be; kinds of JSON are one. With `codeowners`, it is "
            "text/plain if not given."
        ),
    ] = "application/json"
    gone: Annotated[Gone, Meta(description="What a real 404 looks like.")] = Gone()
    limits: Annotated[Limits, Meta(description="How gently it is asked.")] = Limits()
    unfit: Annotated[
        Unfit, Meta(description="What becomes of a document of which something does not fit.")
    ] = Unfit()
    second_look: Annotated[
        list[Annotated[float, Meta(gt=0, le=86_400)]],
        Meta(
            max_length=5,
            description="After how many seconds to look again at what an event told, since the "
            "source may lag behind its own events; an empty list if it never does.",
        ),
    ] = field(default_factory=lambda: [30.0, 300.0])
    sweep: Annotated[
        str | None,
        Meta(
            description="When everything is listed, so that what no event told is found: a cron "
            "expression in UTC, or `never`. Once a night if not given."
        ),
    ] = None
    events: Annotated[
        list[EventRule], Meta(description="What its events mean; the first that fits counts.")
    ] = field(default_factory=list)
    files: Annotated[list[FileRule], Meta(description="Its files, if it is read from files.")] = (
        field(default_factory=list)
    )

    def __post_init__(self) -> None:
        if (self.codeowners is None) == (not self.resources):
            raise ValueError("A source has either `resources` or `codeowners`")
        if self.codeowners is None and (self.base_url is None) == (not self.files):
            raise ValueError("A source has either `base_url` or `files`")
        if self.codeowners is not None:
            if self.events or self.files:
                raise ValueError("With `codeowners` there are no `events` and no `files`")
            if (self.base_url is None) != (self.codeowners.path is None):
                raise ValueError("`codeowners` has `path` with a `base_url`, else `file`")
        if self.sweep is not None:
            checked(self.sweep)


PARTS: tuple[type[Struct], ...] = (
    SourceFile, Auth, Basic, Header, Limits, Gone, Unfit, EventRule, Resource, Subject, Fetch,
    Listing, Together, Paging, Value, EdgeRule, Target, DatasetName, CodeName, PartRule,
    FileRule, Reviewers,
)  # fmt: skip


def json_schema() -> dict[str, Json]:
    """Return the JSON Schema of source files, for editors."""
    schema: dict[str, Json] = msgspec.json.schema(SourceFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A source of Lineal",
        **schema,
    }
