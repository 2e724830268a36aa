"""What the aspects of DataHub say in our words. Aspects that are not here are passed over.

Source: https://docs.datahub.com/docs/generated/metamodel/entities/dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lineal import normalise
from lineal.errors import InvalidUri
from lineal.model import EdgeStatement, Json, Statement, Uri
from lineal.normalise import Urn

#: The platform of people, teams and domains that DataHub names.
PLATFORM = "datahub"
_FORMS = {"table": "table", "view": "view", "topic": "topic", "folder": "folder", "file": "file"}
Said: TypeAlias = Mapping[str, Json]


@dataclass(slots=True)
class Reading:
    """One aspect being read; *statements* and *edges* fill up."""

    urn: str
    platforms: normalise.Platforms
    statements: dict[Uri, Statement] = field(default_factory=dict)
    edges: dict[tuple[Uri, str, Uri], EdgeStatement] = field(default_factory=dict)

    def read(self, kind: str, aspect: str, value: Said) -> Uri:
        """
        Read one aspect and return what it is about.

        Raises:
            InvalidUri: a urn in it is none, or of something else.
        """
        urn = Urn.of(self.urn)
        if urn.kind != kind:
            raise InvalidUri(f"{self.urn[:80]!r} is no {kind}.")
        subject = self.thing(self.urn)
        if subject is None:
            raise InvalidUri(f"Things such as {self.urn[:80]!r} are not known here.")
        READ[kind, aspect](self, subject, value)
        self.state(subject, {})
        return subject

    # ── Saying ──

    def state(self, uri: Uri, attributes: Said) -> None:
        """Say what is so of *uri*; of a data set, also which environment it is of."""
        before = self.statements.get(uri)
        merged = {**(before.attributes if before else {}), **normalise.said(attributes)}
        if uri.type == "dataset" and self.urn.startswith("urn:li:dataset:"):
            merged["environment"] = normalise.datahub_environment(self.urn)
        self.statements[uri] = Statement(uri, merged)

    def join(self, start: Uri, kind: str, end: Uri, attributes: Said | None = None) -> None:
        """Say that an edge is so; no edge joins itself."""
        if start != end:
            said = normalise.said(attributes or {})
            self.edges[start, kind, end] = EdgeStatement(start, kind, end, said)

    # ── Naming ──

    def thing(self, text: str) -> Uri | None:
        """Return what a urn names, None where nothing here is of its sort."""
        urn = Urn.of(text)
        if urn.kind == "dataset":
            return normalise.datahub_data_set(text, self.platforms)
        if urn.kind == "schemaField" and len(urn.parts) == 2:
            return normalise.datahub_column(*urn.parts, self.platforms)
        if urn.kind == "corpuser":
            return Uri.of("user", PLATFORM, urn.parts[0])
        if urn.kind == "corpGroup":
            return Uri.of("team", PLATFORM, normalise.slug(urn.parts[0]))
        if urn.kind == "domain":
            return Uri.of("domain", PLATFORM, urn.parts[0])
        if urn.kind == "dataJob" and len(urn.parts) == 2:
            flow = Urn.of(urn.parts[0]).parts
            return Uri.of("pipeline", self.platforms.named(flow[0]), *flow[1:2], urn.parts[1])
        return None

    def things(self, said: Json, *kinds: str) -> Iterator[Uri]:
        """Go through the things of these types in a list of urns."""
        for item in normalise.sequence(said):
            uri = self.thing(item) if isinstance(item, str) else None
            if uri is not None and uri.type in kinds:
                yield uri


# ── Data sets ────────────────────────────────────────────────────────────────────────────────────


def _key(reading: Reading, subject: Uri, value: Said) -> None:
    """A thing is there; its key says no more than its urn."""


def _properties(reading: Reading, subject: Uri, value: Said) -> None:
    link = normalise.text(value.get("externalUrl"))
    full_name = normalise.text(value.get("qualifiedName"))
    attributes: dict[str, Json] = {
        "name": normalise.text(value.get("name")),
        "qualified_name": full_name if subject.type == "dataset" else None,
        "description": normalise.text(value.get("description")),
        "link": normalise.without_password(link) if link else None,
        "created_at": _time(value.get("created")),
        "properties": dict(normalise.mapping(value.get("customProperties"))),
    }
    reading.state(subject, attributes)


def _time(stamp: Json) -> str | None:
    at = normalise.mapping(stamp).get("time")
    return normalise.iso_time(at) if at else None


def _sub_types(reading: Reading, subject: Uri, value: Said) -> None:
    said = (normalise.text(name) for name in normalise.sequence(value.get("typeNames")))
    names = [name.lower() for name in said if name]
    form = next((_FORMS[name] for name in names if name in _FORMS), None)
    reading.state(subject, {"subtypes": list[Json](names), "form": form})


def _schema(reading: Reading, subject: Uri, value: Said) -> None:
    for position, item in enumerate(normalise.mappings(value.get("fields")), start=1):
        path = normalise.text(item.get("fieldPath"))
        if path is None:
            raise InvalidUri(f"The field {position} has no path.")
        column = normalise.datahub_column(reading.urn, path, reading.platforms)
        attributes: dict[str, Json] = {
            "name": path.rpartition("]")[2].strip(".") or path,
            "description": normalise.text(item.get("description")),
            "data_type": normalise.text(item.get("nativeDataType")),
            "position": position,
            "nullable": item.get("nullable") if isinstance(item.get("nullable"), bool) else None,
            "primary_key": item.get("isPartOfKey") is True or None,
            "tags": _tags(item.get("globalTags")),
        }
        reading.state(column, attributes)
        reading.join(column, "column_of", subject)


def _field(reading: Reading, subject: Uri, value: Said) -> None:
    whole = reading.thing(Urn.of(reading.urn).parts[0])
    if whole is not None:
        reading.join(subject, "column_of", whole)


def _upstream(reading: Reading, subject: Uri, value: Said) -> None:
    for item in normalise.mappings(value.get("upstreams")):
        word = (normalise.text(item.get("type")) or "").lower()
        for other in reading.things([item.get("dataset")], "dataset"):
            reading.join(subject, "derived_from", other, {"transformation": word})
    _columns(reading, value)


def _columns(reading: Reading, value: Said) -> None:
    """Say which columns are made of which, as the lineage of a data set or a job has it."""
    for item in normalise.mappings(value.get("fineGrainedLineages")):
        attributes: dict[str, Json] = {"confidence": normalise.number(item.get("confidenceScore"))}
        for below in reading.things(item.get("downstreams"), "column"):
            for above in reading.things(item.get("upstreams"), "column"):
                reading.join(below, "derived_from", above, attributes)


def _siblings(reading: Reading, subject: Uri, value: Said) -> None:
    """Say that two are one: in one direction, so that both sides' words are of one edge."""
    evidence: dict[str, Json] = {"evidence": "sibling", "read_in": "siblings"}
    for other in reading.things(value.get("siblings"), "dataset"):
        reading.join(min(subject, other), "same_as", max(subject, other), evidence)


# ── What is said of things of every type ─────────────────────────────────────────────────────────


def _ownership(reading: Reading, subject: Uri, value: Said) -> None:
    for item in normalise.mappings(value.get("owners")):
        for owner in reading.things([item.get("owner")], "user", "team"):
            reading.join(subject, "owned_by", owner, {"role": _role(item)})


def _role(item: Said) -> str | None:
    """Return as what somebody owns: ``technical_owner``, from the urn of the role or its word."""
    urn = normalise.text(item.get("typeUrn")) or ""
    name = urn.rpartition(":")[2].removeprefix("__system__")
    word = (normalise.text(item.get("type")) or "").lower()
    return name or (word if word != "none" else None)


def _labels(reading: Reading, subject: Uri, value: Said) -> None:
    reading.state(subject, {"tags": _tags(dict(value))})


def _tags(said: Json) -> list[Json]:
    labels = normalise.mappings(normalise.mapping(said).get("tags"))
    urns = (normalise.text(label.get("tag")) for label in labels)
    return list[Json](sorted({Urn.of(urn).parts[0] for urn in urns if urn}))


def _domains(reading: Reading, subject: Uri, value: Said) -> None:
    for domain in reading.things(value.get("domains"), "domain"):
        reading.join(subject, "in_domain", domain)


def _status(reading: Reading, subject: Uri, value: Said) -> None:
    reading.state(subject, {"stage": "retired" if value.get("removed") is True else None})


# ── People, teams, domains, jobs ─────────────────────────────────────────────────────────────────


def _person(reading: Reading, subject: Uri, value: Said) -> None:
    address = normalise.email(normalise.text(value.get("email")) or "")
    attributes: dict[str, Json] = {
        "name": normalise.text(value.get("displayName")) or normalise.text(value.get("fullName")),
        "email": address.name if address else None,
        "job_title": normalise.text(value.get("title")),
        "status": {True: "active", False: "inactive"}.get(value.get("active") is True)
        if "active" in value
        else None,
    }
    reading.state(subject, attributes)
    if address is not None:
        evidence: dict[str, Json] = {"evidence": "declared", "read_in": "corpUserInfo.email"}
        reading.join(subject, "same_as", address, evidence)


def _membership(reading: Reading, subject: Uri, value: Said) -> None:
    for name in ("groups", "nativeGroups"):
        for team in reading.things(value.get(name), "team"):
            reading.join(subject, "member_of", team)


def _group(reading: Reading, subject: Uri, value: Said) -> None:
    attributes: dict[str, Json] = {
        "name": normalise.text(value.get("displayName")),
        "description": normalise.text(value.get("description")),
        "email": (normalise.text(value.get("email")) or "").lower(),
    }
    reading.state(subject, attributes)


def _domain(reading: Reading, subject: Uri, value: Said) -> None:
    attributes = {key: normalise.text(value.get(key)) for key in ("name", "description")}
    reading.state(subject, dict[str, Json](attributes))
    for parent in reading.things([value.get("parentDomain")], "domain"):
        reading.join(subject, "in_domain", parent)


def _job_flows(reading: Reading, subject: Uri, value: Said) -> None:
    for name, kind in (("inputDataset", "reads"), ("outputDataset", "produced_by")):
        edges = normalise.mappings(value.get(f"{name}Edges"))
        urns = [edge.get("destinationUrn") for edge in edges]
        for other in reading.things([*normalise.sequence(value.get(f"{name}s")), *urns], "dataset"):
            start, end = (subject, other) if kind == "reads" else (other, subject)
            reading.join(start, kind, end)
    for other in reading.things(value.get("inputDatajobs"), "pipeline"):
        reading.join(subject, "depends_on", other)
    _columns(reading, value)


_Read: TypeAlias = Callable[[Reading, Uri, Said], None]
_EVERY: dict[str, _Read] = {
    "ownership": _ownership,
    "globalTags": _labels,
    "domains": _domains,
    "status": _status,
}
#: The aspects that are read, by the type of thing and the name of the aspect.
READ: dict[tuple[str, str], _Read] = {
    **{(kind, name): read for kind in ("dataset", "dataJob") for name, read in _EVERY.items()},
    ("dataset", "datasetKey"): _key,
    ("dataset", "datasetProperties"): _properties,
    ("dataset", "subTypes"): _sub_types,
    ("dataset", "schemaMetadata"): _schema,
    ("dataset", "upstreamLineage"): _upstream,
    ("dataset", "siblings"): _siblings,
    ("schemaField", "schemaFieldKey"): _field,
    ("corpuser", "corpUserInfo"): _person,
    ("corpuser", "groupMembership"): _membership,
    ("corpuser", "nativeGroupMembership"): _membership,
    ("corpGroup", "corpGroupInfo"): _group,
    ("domain", "domainProperties"): _domain,
    ("dataJob", "dataJobKey"): _key,
    ("dataJob", "dataJobInfo"): _properties,
    ("dataJob", "dataJobInputOutput"): _job_flows,
}
