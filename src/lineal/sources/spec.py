"""The source file: which fields a declared source has, as it is written, and its JSON Schema.

Only the form is known here. `sources.plan` checks what the fields say and compiles them.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from lineal.model import Json
from lineal.sources.schedule import checked

#: An expression in JMESPath.
Expr: TypeAlias = str
#: One text, or several that must each be there.
Texts: TypeAlias = str | list[str]


#: Where a secret is kept, never the secret.
Reference: TypeAlias = Annotated[str, Meta(pattern="^[a-z][a-z0-9+-]*:.+$")]
#: One plain value.
Word: TypeAlias = bool | int | float | str | None


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a source file: no field beyond the declared ones."""


class Basic(_Part, frozen=True):
    """A name and a password."""

    user: Annotated[str, Meta(description="The name, or a reference to it.")]
    password: Annotated[Reference, Meta(description="A reference to the password.")]


class Header(_Part, frozen=True):
    """A header that holds a secret."""

    name: Annotated[str, Meta(description="The name of the header, such as X-Api-Key.")]
    value: Annotated[Reference, Meta(description="A reference to its value.")]


class Auth(_Part, frozen=True):
    """How we say who we are, by reference: `env:NAME` or `file:/path`, never the secret."""

    bearer: Annotated[Reference | None, Meta(description="A reference to a bearer token.")] = None
    basic: Annotated[Basic | None, Meta(description="User and password.")] = None
    header: Annotated[Header | None, Meta(description="Any other header.")] = None

    def __post_init__(self) -> None:
        if sum(form is not None for form in (self.bearer, self.basic, self.header)) != 1:
            raise ValueError("Give exactly one of `bearer`, `basic` and `header`")


class Limits(_Part, frozen=True):
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


class Gone(_Part, frozen=True):
    """What a real 'no such thing' looks like: a 404 or 410 that does not is not believed."""

    content_type: Annotated[
        str | None, Meta(description="Its content type; that of the source if not given.")
    ] = None
    when: Annotated[
        Expr | None,
        Meta(description="Must hold of the answer; a plain text is given as text, `@`."),
    ] = None


class EventRule(_Part, frozen=True):
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


class Subject(_Part, frozen=True):
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


class Fetch(_Part, frozen=True):
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


class Together(_Part, frozen=True):
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


class Paging(_Part, frozen=True):
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


class Listing(_Part, frozen=True):
    """How everything there is of a resource is listed."""

    path: Annotated[str, Meta(description="The path after `base_url`.")]
    params: Annotated[dict[str, str], Meta(description="Arguments after the question mark.")] = (
        field(default_factory=dict)
    )
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


class Value(_Part, frozen=True):
    """Where a value is found and what becomes of it."""

    path: Annotated[Expr, Meta(description="Where it is found.")]
    values: Annotated[
        dict[str, Word],
        Meta(description="The source's words and ours; a word that is not here stays."),
    ] = field(default_factory=dict)
    as_: Annotated[
        Literal["json", "text", "number", "boolean", "time", "tags", "status", "list"],
        Meta(
            description="`json`: as it is. `text`, `number`, `boolean`: only that. `time`: ISO "
            "8601 in UTC. `tags`: labels as `key::value`. `status`: one lower-case word. `list`: "
            "a list without nulls; one value is a list of one."
        ),
    ] = field(default="json", name="as")
    default: Annotated[Word | list[Word], Meta(description="What it is if nothing is found.")] = (
        None
    )
    required: Annotated[bool, Meta(description="Without it the document is garbled.")] = False


Values: TypeAlias = dict[str, str | Value]


class DatasetName(_Part, frozen=True):
    """A data set under its OpenLineage name."""

    namespace: Annotated[Expr, Meta(description="Where its namespace stands.")]
    name: Annotated[Expr, Meta(description="Where its name stands.")]


_FORMS = ("type", "part", "email", "owner", "location", "dataset", "model", "uri")


class Target(_Part, frozen=True):
    """A thing that a document refers to, in one of eight forms."""

    type: Annotated[str | None, Meta(description="A thing of this type, with `id`.")] = None
    platform: Annotated[
        str | None, Meta(description="Its platform; that of the file if not given.")
    ] = None
    id: Annotated[
        Texts | None, Meta(description="Where its segments stand; all must be there.")
    ] = None
    part: Annotated[
        str | None,
        Meta(description="A part of the subject, of this type: its id and then `id`."),
    ] = None
    email: Annotated[Expr | None, Meta(description="A text that holds an e-mail address.")] = None
    owner: Annotated[Expr | None, Meta(description="A person or team in any usual spelling.")] = (
        None
    )
    directory: Annotated[
        str, Meta(description="The platform of people and teams that `owner` names.")
    ] = "identity"
    location: Annotated[
        Expr | None, Meta(description="The address of a data set, such as s3://bucket/path.")
    ] = None
    dataset: Annotated[
        DatasetName | None, Meta(description="A data set under its OpenLineage name.")
    ] = None
    model: Annotated[
        Expr | None,
        Meta(description="A model or a version under any usual address, such as models:/name/3."),
    ] = None
    scope: Annotated[
        Expr | None,
        Meta(description="With `model`: the cluster or namespace that a pvc:// address is in."),
    ] = None
    uri: Annotated[Expr | None, Meta(description="A URI of ours, whole.")] = None

    def __post_init__(self) -> None:
        forms = [name for name in _FORMS if getattr(self, name) is not None]
        if len(forms) != 1:
            raise ValueError(f"Give exactly one of {', '.join(f'`{name}`' for name in _FORMS)}")
        if (forms[0] in ("type", "part")) != (self.id is not None):
            raise ValueError("`id` goes with `type` or `part`, and they with it")
        if self.scope is not None and self.model is None:
            raise ValueError("`scope` goes with `model`")


class EdgeRule(_Part, frozen=True):
    """One kind of relationship that a document states."""

    kind: Annotated[str, Meta(description="The kind, or its inverse.")]
    to: Annotated[str | Target, Meta(description="The other end, or the word `subject`.")]
    from_: Annotated[
        str | Target | None,
        Meta(description="Where it starts; if not given, at the thing that is described."),
    ] = field(default=None, name="from")
    each: Annotated[
        Expr | None, Meta(description="A list; one edge for each item, which is then `@`.")
    ] = None
    when: Annotated[Expr | None, Meta(description="Only if this holds.")] = None
    attributes: Annotated[Values, Meta(description="What the edge says besides, as in `map`.")] = (
        field(default_factory=dict)
    )
    layer: Annotated[
        Literal["declared", "observed", "inferred", "suggested"] | None,
        Meta(description="How it is believed; as the kind says if not given."),
    ] = None
    valid_from: Annotated[Expr | None, Meta(description="Since when it is so.")] = None
    valid_to: Annotated[Expr | None, Meta(description="Until when it was so.")] = None
    required: Annotated[
        bool, Meta(description="Without the other end the document is garbled.")
    ] = False


class PartRule(_Part, frozen=True):
    """A further thing that the same document describes, such as a column of its table."""

    as_: Annotated[Target, Meta(description="What it is; `part` is the usual form.")] = field(
        name="as"
    )
    each: Annotated[
        Expr | None, Meta(description="A list; one thing for each item, which is then `@`.")
    ] = None
    when: Annotated[Expr | None, Meta(description="Only if this holds.")] = None
    map: Annotated[Values, Meta(description="Its attributes.")] = field(default_factory=dict)
    valid_from: Annotated[Expr | None, Meta(description="Since when this is so.")] = None
    edges: Annotated[list[EdgeRule], Meta(description="What it is related to.")] = field(
        default_factory=list
    )


class Resource(_Part, frozen=True):
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


class FileRule(_Part, frozen=True):
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


class SourceFile(_Part, frozen=True):
    """One tool, declared: how it is asked and what its documents say in our words."""

    source: Annotated[
        str,
        Meta(pattern="^[a-z][a-z0-9_.-]{0,63}$", description="The source's name, unique."),
    ]
    resources: Annotated[
        dict[str, Resource], Meta(min_length=1, description="Its sorts of documents, by name.")
    ]
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
        str, Meta(description="What its answers must be; kinds of JSON are one.")
    ] = "application/json"
    gone: Annotated[Gone, Meta(description="What a real 404 looks like.")] = Gone()
    limits: Annotated[Limits, Meta(description="How gently it is asked.")] = Limits()
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
        if (self.base_url is None) == (not self.files):
            raise ValueError("A source has either `base_url` or `files`")
        if self.sweep is not None:
            checked(self.sweep)


PARTS: tuple[type[Struct], ...] = (
    SourceFile, Auth, Basic, Header, Limits, Gone, EventRule, Resource, Subject, Fetch, Listing,
    Together, Paging, Value, EdgeRule, Target, DatasetName, PartRule, FileRule,
)  # fmt: skip


def json_schema() -> dict[str, Json]:
    """Return the JSON Schema of source files, for editors."""
    schema: dict[str, Json] = msgspec.json.schema(SourceFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A source of Lineal",
        **schema,
    }
