"""A source file checked and compiled. `load` is the way in.

Everything that can be wrong with a source file is found here or in `sources.decoding`, with its
line, before the first document is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path as FilePath

from msgspec import structs

from lineal import normalise
from lineal.errors import Invalid, ShapeError, SourceSpecError
from lineal.model import Layer
from lineal.normalise import Platforms, Rewrite
from lineal.shapes import Shapes
from lineal.sources import written
from lineal.sources.decoding import decode
from lineal.sources.expressions import Expression
from lineal.sources.plan import (
    HERE,
    HOLE,
    SUBJECT,
    EdgePlan,
    EventPlan,
    FetchPlan,
    FilePlan,
    KeyPlan,
    ListPlan,
    PagingPlan,
    PartPlan,
    ResourcePlan,
    ReviewersPlan,
    SourcePlan,
    SubjectPlan,
    TargetPlan,
    Template,
    TogetherPlan,
    ValuePlan,
)
from lineal.sources.said import EdgeRule, PartRule, Target, Value
from lineal.sources.spec import (
    PARTS,
    EventRule,
    Fetch,
    FileRule,
    Listing,
    Resource,
    Reviewers,
    SourceFile,
    Subject,
    Together,
)
from lineal.sources.written import Path, Written


def load(
    path: str | PathLike[str],
    *,
    variables: Mapping[str, str] | None = None,
    shapes: Shapes | None = None,
    platforms: Platforms | None = None,
) -> SourcePlan:
    """
    Return the source that the file at *path* declares.

    *variables* fill ``${NAME}``. With *shapes*, types and kinds are checked, and inverse
    spellings of kinds turned round. *platforms* are joined with the file's own aliases.

    Raises:
        SourceSpecError: the file cannot be read or says what cannot be; with line and fix.
    """
    try:
        text = FilePath(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceSpecError(
            f"The file cannot be read: {error}.", file=fspath(path), fix="Check path and encoding."
        ) from error
    return parse(text, fspath(path), variables=variables, shapes=shapes, platforms=platforms)


def parse(
    text: str,
    file: str = "source.yaml",
    *,
    variables: Mapping[str, str] | None = None,
    shapes: Shapes | None = None,
    platforms: Platforms | None = None,
) -> SourcePlan:
    """Return the source that *text* declares; as `load`, with *file* for messages."""
    document = written.read(text, file, variables or {})
    compiler = _Compiler(decode(document, SourceFile, PARTS), document, shapes)
    return compiler.source(platforms or Platforms())


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles a source file part by part; *path* is where a part stands, for messages."""

    spec: SourceFile
    written: Written
    shapes: Shapes | None

    def source(self, platforms: Platforms) -> SourcePlan:
        spec = self.spec
        resources = {name: self.resource(name, r) for name, r in spec.resources.items()}
        self._check_address()
        self._check_reach(resources)
        if spec.codeowners is not None and spec.content_type == "application/json":
            spec = structs.replace(spec, content_type="text/plain")
        return SourcePlan(
            written=spec,
            file=self.written.file,
            resources=resources,
            events=tuple(self.event(e, ("events", at)) for at, e in enumerate(spec.events)),
            files=tuple(self.file(f, ("files", at)) for at, f in enumerate(spec.files)),
            gone=self.maybe(spec.gone.when, ("gone", "when")),
            platforms=self.platforms(platforms),
            reviewers=self.reviewers(spec.codeowners, ("codeowners",)),
            shapes=self.shapes,
        )

    def platforms(self, configured: Platforms) -> Platforms:
        rules = [self.rewrite(old, new) for old, new in self.spec.rewrites.items()]
        aliases = {**configured.aliases, **self.spec.aliases}
        return Platforms(aliases, (*configured.rewrites, *rules))

    def rewrite(self, old: str, new: str) -> Rewrite:
        try:
            return Rewrite.of(old, new)
        except Invalid as error:
            raise self.written.error(error.message, ("rewrites", old), fix=error.fix) from error

    def _check_address(self) -> None:
        url = self.spec.base_url
        if url is not None and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", url):
            raise self.written.error(
                f"{url!r} is not an address.",
                ("base_url",),
                fix="Write http:// or https://, a host and a path, without user, ? and #.",
            )

    def _check_reach(self, resources: Mapping[str, ResourcePlan]) -> None:
        """Over HTTP a document must be fetched, and no two resources may claim one thing."""
        seen: dict[tuple[str, ...], str] = {}
        for name, resource in resources.items():
            here: Path = ("resources", name)
            if self.spec.base_url is not None and resource.fetch is None:
                raise self.written.error(
                    f"{name!r} needs `fetch`.", here, fix="Add fetch: {path: …}."
                )
            shape = tuple(HOLE.sub("{}", t.text) for t in resource.subject.templates)
            claim = (resource.subject.type, resource.subject.platform, *shape)
            if self.spec.base_url is not None and claim in seen:
                raise self.written.error(
                    f"{name!r} describes the same things as {seen[claim]!r}.",
                    (*here, "subject"),
                    fix="Give one of them another type, platform or id.",
                )
            seen[claim] = name

    # ── Resources ──

    def resource(self, name: str, spec: Resource) -> ResourcePlan:
        here: Path = ("resources", name)
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name):
            raise self.written.error(
                f"{name!r} is not a name of a resource.", here, fix="Use a-z, 0-9, _ and -."
            )
        key = self.key(spec.key, (*here, "key"))
        subject = self.subject(spec.subject, key, (*here, "subject"))
        return ResourcePlan(
            name=name,
            subject=subject,
            key=key,
            fetch=self.fetch(spec.fetch, key, (*here, "fetch")),
            batch=self.together(spec.batch, key, (*here, "batch")),
            list=self.listing(spec.list_, key, (*here, "list")),
            map=self.values(spec.map, (*here, "map")),
            valid_from=self.maybe(spec.valid_from, (*here, "valid_from")),
            said_at=self.maybe(spec.said_at, (*here, "said_at")),
            version=self.maybe(spec.version or spec.said_at, (*here, "version")),
            edges=self.edges(spec.edges, subject.type, subject.type, here),
            parts=tuple(
                self.part(part, subject.type, (*here, "parts", at))
                for at, part in enumerate(spec.parts)
            ),
        )

    def key(self, spec: str | Mapping[str, str], path: Path) -> KeyPlan:
        named = {"id": spec} if isinstance(spec, str) else spec
        if not named or not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in named):
            raise self.written.error("A key has named parts.", path, fix="Write {db: …, name: …}.")
        paths = tuple(self.expression(text, (*path, name)) for name, text in named.items())
        return KeyPlan(tuple(named), paths)

    def same_key(self, spec: str | Mapping[str, str] | None, key: KeyPlan, path: Path) -> KeyPlan:
        """Return the key as *spec* finds it elsewhere: the same parts, in the same order."""
        if spec is None:
            return key
        found = self.key(spec, path)
        if sorted(found.names) != sorted(key.names):
            raise self.written.error(
                f"The key has the parts {', '.join(found.names)}, and in the document "
                f"{', '.join(key.names)}.",
                path,
                fix="Name the same parts.",
            )
        places = dict(zip(found.names, found.paths, strict=True))
        return KeyPlan(key.names, tuple(places[name] for name in key.names))

    def subject(self, spec: Subject, key: KeyPlan, path: Path) -> SubjectPlan:
        texts = [f"{{{name}}}" for name in key.names] if spec.id is None else _texts(spec.id)
        templates = tuple(self.template(text, key.names, (*path, "id")) for text in texts)
        missing = set(key.names) - {name for template in templates for name in template.names}
        if missing:
            raise self.written.error(
                f"The id lacks the key's part {sorted(missing)[0]!r}.",
                path,
                fix="Two documents must not be about one thing: put every part in.",
            )
        self.type(spec.type, (*path, "type"))
        return SubjectPlan(spec.type, self.platform(spec.platform, path), templates)

    def template(self, text: str, names: Iterable[str], path: Path) -> Template:
        for hole in HOLE.findall(text):
            if hole not in tuple(names):
                raise self.written.error(
                    f"{{{hole}}} is no part of the key.", path, fix=f"There is {_holes(names)}."
                )
        return Template.of(text)

    def fetch(self, spec: Fetch | None, key: KeyPlan, path: Path) -> FetchPlan | None:
        if spec is None:
            return None
        template = self.template(self.address(spec.path, path), key.names, (*path, "path"))
        params = {
            name: self.template(text, key.names, (*path, "params", name))
            for name, text in spec.params.items()
        }
        named = {name for one in (template, *params.values()) for name in one.names}
        if missing := sorted(set(key.names) - named):
            raise self.written.error(
                f"The address lacks the key's part {missing[0]!r}.",
                (*path, "path"),
                fix=f"Put {{{missing[0]}}} in the path or in params.",
            )
        item = self.expression(spec.item, (*path, "item"))
        return FetchPlan(template, params, item, spec.verify)

    def together(self, spec: Together | None, key: KeyPlan, path: Path) -> TogetherPlan | None:
        if spec is None:
            return None
        if key.names != (spec.part,):
            raise self.written.error(
                f"Keys of {', '.join(key.names)} cannot be asked for together by {spec.part!r}.",
                (*path, "part"),
                fix="Only documents whose key has one part can.",
            )
        return TogetherPlan(
            path=self.address(spec.path, path),
            param=spec.param,
            params=spec.params,
            separator=spec.separator,
            size=spec.size,
            items=self.expression(spec.items, (*path, "items")),
        )

    def address(self, text: str, path: Path) -> str:
        if not text.startswith("/") or "?" in text or "#" in text or ".." in text.split("/"):
            raise self.written.error(
                f"{text!r} is not a path.", (*path, "path"), fix="Begin with /, use params for ?."
            )
        return text

    def listing(self, spec: Listing | None, key: KeyPlan, path: Path) -> ListPlan | None:
        if spec is None:
            return None
        version = spec.version or ("hash(@)" if spec.full else None)
        return ListPlan(
            path=self.address(spec.path, path),
            params=spec.params,
            body=spec.body,
            items=self.expression(spec.items, (*path, "items")),
            key=self.same_key(spec.key, key, (*path, "key")),
            version=self.maybe(version, (*path, "version")),
            full=spec.full,
            paging=self.paging(spec, (*path, "paging")),
        )

    def paging(self, spec: Listing, path: Path) -> PagingPlan | None:
        paging = spec.paging
        if paging is None:
            return None
        first = paging.first if paging.first is not None else int(paging.style == "page")
        return PagingPlan(
            style=paging.style,
            param=paging.param,
            size_param=paging.size_param,
            size=paging.size,
            first=first,
            next=self.maybe(paging.next, (*path, "next")),
            more=self.maybe(paging.more, (*path, "more")),
            total=self.maybe(paging.total, (*path, "total")),
        )

    # ── What documents say ──

    def values(self, spec: Mapping[str, str | Value], path: Path) -> tuple[ValuePlan, ...]:
        return tuple(self.value(name, value, (*path, name)) for name, value in spec.items())

    def value(self, name: str, spec: str | Value, path: Path) -> ValuePlan:
        if isinstance(spec, str):
            return ValuePlan(name, self.expression(spec, path), {})
        expression = self.expression(spec.path, (*path, "path"))
        return ValuePlan(name, expression, spec.values, spec.as_, spec.default, spec.required)

    def part(self, spec: PartRule, whole: str, path: Path) -> PartPlan:
        thing = self.target(spec.as_, (*path, "as"))
        if thing.form not in ("part", "type"):
            raise self.written.error(
                "What is described needs a type.", (*path, "as"), fix="Use `part` or `type`."
            )
        return PartPlan(
            thing=thing,
            each=self.maybe(spec.each, (*path, "each")),
            when=self.maybe(spec.when, (*path, "when")),
            map=self.values(spec.map, (*path, "map")),
            valid_from=self.maybe(spec.valid_from, (*path, "valid_from")),
            edges=self.edges(spec.edges, thing.type, whole, path),
        )

    def edges(
        self, specs: Sequence[EdgeRule], here: str, subject: str, path: Path
    ) -> tuple[EdgePlan, ...]:
        known = {"here": here, "subject": subject}
        return tuple(self.edge(spec, known, (*path, "edges", at)) for at, spec in enumerate(specs))

    def edge(self, spec: EdgeRule, known: Mapping[str, str], path: Path) -> EdgePlan:
        start = HERE if spec.from_ is None else self.end(spec.from_, (*path, "from"))
        end = self.end(spec.to, (*path, "to"))
        kind, inverted, layer = self.kind(spec.kind, start, end, known, path)
        return EdgePlan(
            kind=kind,
            start=end if inverted else start,
            end=start if inverted else end,
            each=self.maybe(spec.each, (*path, "each")),
            when=self.maybe(spec.when, (*path, "when")),
            attributes=self.values(spec.attributes, (*path, "attributes")),
            layer=Layer(spec.layer) if spec.layer else layer,
            valid_from=self.maybe(spec.valid_from, (*path, "valid_from")),
            valid_to=self.maybe(spec.valid_to, (*path, "valid_to")),
            required=spec.required,
        )

    def end(self, spec: str | Target, path: Path) -> TargetPlan:
        if spec == "subject":
            return SUBJECT
        if isinstance(spec, str):
            raise self.written.error(
                f"{spec!r} is no end of an edge.", path, fix="Write `subject`, or {type: …, id: …}."
            )
        return self.target(spec, path)

    def target(self, spec: Target, path: Path) -> TargetPlan:
        if spec.type is not None or spec.part is not None:
            name = spec.type or spec.part or ""
            form = "type" if spec.type else "part"
            self.type(name, (*path, form))
            paths = tuple(self.expression(text, (*path, "id")) for text in _texts(spec.id or []))
            platform = self.platform(spec.platform, path) if spec.type else ""
            return TargetPlan(form, paths, name, platform)
        if spec.dataset is not None:
            texts = (spec.dataset.namespace, spec.dataset.name)
            paths = tuple(self.expression(text, (*path, "dataset")) for text in texts)
            return TargetPlan("dataset", paths)
        if spec.code is not None:
            named = (spec.code.repository, spec.code.path)
            paths = tuple(self.expression(text, (*path, "code")) for text in named if text)
            return TargetPlan("code", paths)
        if spec.model is not None:
            model = self.expression(spec.model, (*path, "model"))
            scope = self.maybe(spec.scope, (*path, "scope"))
            return TargetPlan("model", (model,), platform=spec.platform or "mlflow", scope=scope)
        form = next(
            n for n in ("email", "owner", "location", "uri") if getattr(spec, n) is not None
        )
        return TargetPlan(
            form, (self.expression(getattr(spec, form), (*path, form)),), platform=spec.directory
        )

    def kind(
        self, name: str, start: TargetPlan, end: TargetPlan, known: Mapping[str, str], path: Path
    ) -> tuple[str, bool, Layer]:
        if self.shapes is None:
            return name, False, Layer.DECLARED
        try:
            kind, inverted = self.shapes.kind_of(name)
        except ShapeError as error:
            raise self.written.error(error.message, (*path, "kind"), fix=error.fix) from error
        starts, ends = (_types(target, known) for target in (start, end))
        pairs = [(a, b) for a in starts for b in ends]
        if pairs and not any(self.shapes.allows(name, *pair) for pair in pairs):
            raise self.written.error(
                f"{name} does not go from {pairs[0][0]} to {pairs[0][1]}.",
                (*path, "kind"),
                fix=f"From {pairs[0][0]} it goes to "
                f"{', '.join(self.shapes.ends(name, pairs[0][0])) or 'nothing'}.",
            )
        return kind.name, inverted, kind.layer

    # ── Events and files ──

    def event(self, spec: EventRule, path: Path) -> EventPlan:
        resource = self.spec.resources.get(spec.resource) if spec.resource else None
        if spec.resource and resource is None:
            self._unknown_resource(spec.resource, path)
        key = self.key(resource.key if resource else "id", path)
        condition = spec.deleted
        return EventPlan(
            match={
                name: tuple(value) if isinstance(value, list) else (value,)
                for name, value in spec.match.items()
            },
            when=self.maybe(spec.when, (*path, "when")),
            resource=spec.resource,
            each=self.maybe(spec.each, (*path, "each")),
            key=self.same_key(spec.key, key, (*path, "key")),
            deleted=condition
            if isinstance(condition, bool)
            else self.expression(condition, (*path, "deleted")),
            version=self.maybe(spec.version, (*path, "version")),
        )

    def file(self, spec: FileRule, path: Path) -> FilePlan:
        if spec.resource not in self.spec.resources:
            self._unknown_resource(spec.resource, path)
        if spec.path.startswith("/") or ".." in spec.path.split("/"):
            raise self.written.error(
                f"{spec.path!r} leaves the folder.", (*path, "path"), fix="Write a path inside it."
            )
        return FilePlan(
            rule=spec,
            items=self.maybe(spec.items, (*path, "items")),
            when=self.maybe(spec.when, (*path, "when")),
            group_by=self.maybe(spec.group_by, (*path, "group_by")),
        )

    def _unknown_resource(self, name: str, path: Path) -> None:
        raise self.written.error(
            f"There is no resource {name!r}.",
            (*path, "resource"),
            fix=f"There is {', '.join(self.spec.resources)}.",
        )

    def reviewers(self, spec: Reviewers | None, path: Path) -> ReviewersPlan | None:
        if spec is None:
            return None
        try:
            root = normalise.code(spec.repository)
        except Invalid:
            root = None
        if root is None:
            raise self.written.error(
                f"{spec.repository!r} is no address of a repository.",
                (*path, "repository"),
                fix="Write it as https://host/owner/repository.",
            )
        return ReviewersPlan(
            root=root,
            dialect=spec.dialect or ("gitlab" if "gitlab" in root.platform else "github"),
            file=FilePath(self.written.file).parent / spec.file if spec.file else None,
            path=self.address(spec.path, path) if spec.path else "",
            params=spec.params,
            directory=spec.directory,
        )

    # ── Words ──

    def expression(self, text: str, path: Path) -> Expression:
        try:
            return Expression(text)
        except Invalid as error:
            raise self.written.error(error.message, path, fix=error.fix) from error

    def maybe(self, text: str | None, path: Path) -> Expression | None:
        return None if text is None else self.expression(text, path)

    def platform(self, name: str | None, path: Path) -> str:
        platform = name or self.spec.platform
        if not platform:
            raise self.written.error("The platform is missing.", path, fix="Add platform: ….")
        return platform

    def type(self, name: str, path: Path) -> None:
        if self.shapes is None:
            return
        try:
            self.shapes.type(name)
        except ShapeError as error:
            raise self.written.error(error.message, path, fix=error.fix) from error


def _texts(spec: str | Sequence[str]) -> list[str]:
    return [spec] if isinstance(spec, str) else list(spec)


def _holes(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _types(target: TargetPlan, known: Mapping[str, str]) -> tuple[str, ...]:
    """Return the types that *target* may be of; empty if only the document can tell."""
    if target.form in known:
        return (known[target.form],)
    by_form = {"email": ("user",), "owner": ("user", "team")}
    by_form["model"] = ("model", "model-version")
    by_form |= dict.fromkeys(("location", "dataset"), ("dataset",))
    by_form["code"] = ("code",)
    return by_form.get(target.form, (target.type,) if target.type else ())
