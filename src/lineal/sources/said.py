"""How a source file says what a document means: values, things that are referred to, edges, parts.

Only the form is known here; `sources.spec` has the rest of the file.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

#: An expression in JMESPath.
Expr: TypeAlias = str
#: One text, or several that must each be there.
Texts: TypeAlias = str | list[str]


#: Where a secret is kept, never the secret.
Reference: TypeAlias = Annotated[str, Meta(pattern="^[a-z][a-z0-9+-]*:.+$")]
#: One plain value.
Word: TypeAlias = bool | int | float | str | None


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a source file: no field beyond the declared ones."""


class Value(Part, frozen=True):
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


class DatasetName(Part, frozen=True):
    """A data set under its OpenLineage name."""

    namespace: Annotated[Expr, Meta(description="Where its namespace stands.")]
    name: Annotated[Expr, Meta(description="Where its name stands.")]


class CodeName(Part, frozen=True):
    """A file or folder of a repository."""

    repository: Annotated[
        Expr, Meta(description="Where its address stands, or that of the page that shows the file.")
    ]
    path: Annotated[
        Expr | None, Meta(description="Where the path stands, from the root of the repository.")
    ] = None


_FORMS = ("type", "part", "email", "owner", "location", "dataset", "code", "model", "uri")


class Target(Part, frozen=True):
    """A thing that a document refers to, in one of nine forms."""

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
    code: Annotated[CodeName | None, Meta(description="A file or folder of a repository.")] = None
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


class EdgeRule(Part, frozen=True):
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


class PartRule(Part, frozen=True):
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
