"""A declared source, checked and compiled: what `mapping`, `http` and `files` work from.

`sources.compiling` makes it of a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from lineal.errors import Invalid, InvalidUri
from lineal.model import Json, Layer, Uri
from lineal.normalise import Platforms
from lineal.shapes import Shapes
from lineal.sources import Key
from lineal.sources.codeowners import Dialect
from lineal.sources.expressions import Expression
from lineal.sources.said import Word
from lineal.sources.spec import FileRule, SourceFile

#: So many URIs are remembered of a source before all are forgotten and it begins anew.
MET = 50_000
#: A hole of a template.
HOLE = re.compile(r"\{([^{}]*)\}")
#: What a key's part may hold unencoded, as in a URI.
_SAFE = "-._~:@+=,"


@dataclass(frozen=True, slots=True)
class Template:
    """Text with named holes, ``{db}.{name}``, that can be filled and read back."""

    text: str
    names: tuple[str, ...]
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> Template:
        """Return the template that *text* spells; of two adjacent holes the first is shortest."""
        pieces = HOLE.split(text)
        names = tuple(pieces[1::2])
        seen: set[str] = set()
        pattern = ""
        for at, piece in enumerate(pieces):
            if at % 2 == 0:
                pattern += re.escape(piece)
            else:
                pattern += f"(?P={piece})" if piece in seen else f"(?P<{piece}>.+?)"
                seen.add(piece)
        return cls(text, names, re.compile(pattern, re.DOTALL))

    def filled(self, parts: Mapping[str, str]) -> str:
        """Return the text with *parts* in its holes."""
        return HOLE.sub(lambda found: parts[found[1]], self.text)

    def read(self, text: str) -> dict[str, str] | None:
        """Return what stands in the holes of *text*, None if it is not of this form."""
        found = self.pattern.fullmatch(text)
        return found.groupdict() if found else None


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The named parts of a document's key, and where in the document they stand."""

    names: tuple[str, ...]
    paths: tuple[Expression, ...]

    def text(self, parts: Sequence[str]) -> str:
        """Return the parts as one text: each percent-encoded as in a URI, joined by ``/``."""
        return "/".join([
            part if part.isascii() and part.isalnum() else quote(part, safe=_SAFE)
            for part in parts
        ])  # fmt: skip

    def parts(self, text: str) -> dict[str, str]:
        """Return the parts that `text` made one of; raises `Invalid`."""
        pieces = text.split("/")
        if len(pieces) != len(self.names):
            raise Invalid(f"The key {text[:80]!r} does not have {len(self.names)} parts.")
        return {name: unquote(piece) for name, piece in zip(self.names, pieces, strict=True)}


@dataclass(frozen=True, slots=True)
class SubjectPlan:
    """How a thing's URI is made of its document's key, and the key of the URI."""

    type: str
    platform: str
    templates: tuple[Template, ...]

    def uri(self, parts: Mapping[str, str]) -> Uri:
        """Return the URI; raises `InvalidUri` where a part cannot stand in one."""
        segments = tuple(template.filled(parts) for template in self.templates)
        if self.read(segments) != parts:
            raise InvalidUri(f"The key {dict(parts)} cannot be read back from {segments}.")
        return Uri.of(self.type, self.platform, *segments)

    def read(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Return the key's parts, None if these segments are of another form."""
        if len(segments) != len(self.templates):
            return None
        found: dict[str, str] = {}
        for template, segment in zip(self.templates, segments, strict=True):
            here = template.read(segment)
            if here is None or any(found.get(name, part) != part for name, part in here.items()):
                return None
            found |= here
        return found


@dataclass(frozen=True, slots=True)
class ValuePlan:
    """One attribute: where it is found, and what becomes of it."""

    name: str
    path: Expression
    values: Mapping[str, Word]
    as_: str = "json"
    default: Word | list[Word] = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """A thing that a document refers to."""

    #: One of the forms of `spec.Target`; `subject`: what the document is about; `here`: what the
    #: rule stands in.
    form: str
    paths: tuple[Expression, ...] = ()
    type: str = ""
    platform: str = ""
    #: Of a model: the cluster or namespace that its address is in.
    scope: Expression | None = None


HERE = TargetPlan("here")
SUBJECT = TargetPlan("subject")


@dataclass(frozen=True, slots=True)
class EdgePlan:
    """One kind of relationship that a document states, in the kind's own direction."""

    kind: str
    start: TargetPlan
    end: TargetPlan
    each: Expression | None
    when: Expression | None
    attributes: tuple[ValuePlan, ...]
    layer: Layer
    valid_from: Expression | None
    valid_to: Expression | None
    required: bool


@dataclass(frozen=True, slots=True)
class PartPlan:
    """A further thing that a document describes."""

    thing: TargetPlan
    each: Expression | None
    when: Expression | None
    map: tuple[ValuePlan, ...]
    valid_from: Expression | None
    edges: tuple[EdgePlan, ...]


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """How one document is asked for."""

    path: Template
    params: Mapping[str, Template]
    item: Expression
    verify: bool


@dataclass(frozen=True, slots=True)
class TogetherPlan:
    """How several documents are asked for by one request."""

    path: str
    param: str
    params: Mapping[str, str]
    separator: str
    size: int
    items: Expression


@dataclass(frozen=True, slots=True)
class PagingPlan:
    """How a list goes on."""

    style: str
    param: str
    size_param: str
    size: int
    first: int
    next: Expression | None
    more: Expression | None
    total: Expression | None


@dataclass(frozen=True, slots=True)
class ListPlan:
    """How everything there is of a resource is listed."""

    path: str
    params: Mapping[str, str]
    #: What is sent by POST; None: it is asked for by GET.
    body: Mapping[str, Json] | None
    items: Expression
    key: KeyPlan
    version: Expression | None
    #: Whether an item is the whole document.
    full: bool
    paging: PagingPlan | None


@dataclass(frozen=True, slots=True)
class ResourcePlan:
    """One sort of document: how it is asked for, and what it says in our words."""

    name: str
    subject: SubjectPlan
    key: KeyPlan
    fetch: FetchPlan | None
    batch: TogetherPlan | None
    list: ListPlan | None
    map: tuple[ValuePlan, ...]
    valid_from: Expression | None
    said_at: Expression | None
    version: Expression | None
    edges: tuple[EdgePlan, ...]
    parts: tuple[PartPlan, ...]

    def key_of(self, segments: Sequence[str], kind: str, platform: str) -> Key | None:
        """Return the document that describes this thing or the whole it is a part of."""
        if platform != self.subject.platform:
            return None
        if kind == self.subject.type and (found := self.subject.read(segments)) is not None:
            return self._key(found)
        for part in self.parts:
            if part.thing.form == "part" and part.thing.type == kind:
                whole = segments[: len(segments) - len(part.thing.paths)]
                if (found := self.subject.read(whole)) is not None:
                    return self._key(found)
        return None

    def _key(self, parts: Mapping[str, str]) -> Key:
        return Key(self.name, self.key.text([parts[name] for name in self.key.names]))


@dataclass(frozen=True, slots=True)
class EventPlan:
    """Which documents an event marks as changed."""

    match: Mapping[str, tuple[Word, ...]]
    when: Expression | None
    #: None: such events are known and mean nothing.
    resource: str | None
    each: Expression | None
    key: KeyPlan
    deleted: Expression | bool
    version: Expression | None


@dataclass(frozen=True, slots=True)
class FilePlan:
    """Files that hold documents."""

    rule: FileRule
    items: Expression | None
    when: Expression | None
    group_by: Expression | None


@dataclass(frozen=True, slots=True)
class ReviewersPlan:
    """The CODEOWNERS file of one repository."""

    #: The repository.
    root: Uri
    dialect: Dialect
    #: Where the file is: here, or at this path after the address.
    file: Path | None
    path: str
    params: Mapping[str, str]
    directory: str


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """A declared source, ready for use. Made by `compiling.load`."""

    #: The file as it was written: addresses, limits, references to secrets.
    written: SourceFile
    #: What the file is called in messages.
    file: str
    resources: Mapping[str, ResourcePlan]
    events: tuple[EventPlan, ...]
    files: tuple[FilePlan, ...]
    gone: Expression | None
    platforms: Platforms
    #: None: it has resources.
    reviewers: ReviewersPlan | None = None
    #: The shapes that it was checked by, if any.
    shapes: Shapes | None = field(default=None, compare=False, repr=False)
    #: The URIs of keys that were met, as each is asked for several times on its way.
    _met: dict[Key, Uri] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The source's name."""
        return self.written.source

    @property
    def described(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs whose things this source describes."""
        found = {(r.subject.type, r.subject.platform) for r in self.resources.values()}
        for resource in self.resources.values():
            for part in resource.parts:
                if part.thing.form == "part":
                    found.add((part.thing.type, resource.subject.platform))
                elif part.thing.form == "type":
                    found.add((part.thing.type, part.thing.platform))
        if self.reviewers is not None:
            found.add((self.reviewers.root.type, self.reviewers.root.platform))
        return frozenset(found)

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*, None if this source has none."""
        kind, platform, *segments = uri.parts
        for resource in self.resources.values():
            if (key := resource.key_of(segments, kind, platform)) is not None:
                return key
        return None

    def subject(self, key: Key) -> Uri:
        """Return the URI of the thing that the document is about; raises `Invalid`."""
        if (met := self._met.get(key)) is not None:
            return met
        resource = self.resources.get(key.resource)
        if resource is None:
            raise Invalid(f"The source {self.name} has no resource {key.resource!r}.")
        found = resource.subject.uri(resource.key.parts(key.id))
        if len(self._met) >= MET:
            self._met.clear()
        self._met[key] = found
        return found
