"""What OpenLineage's names are called here: jobs, runs, data sets, models, columns, owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lineal import normalise
from lineal.errors import InvalidUri
from lineal.model import Json, Uri
from lineal.sources import Key

#: The type of what a document is about, by the resource of its key.
TYPES = {"run": "run", "job": "pipeline", "dataset": "dataset", "model": "model"}
_RESOURCES = {kind: resource for resource, kind in TYPES.items()}


def key_of(subject: Uri) -> Key:
    """Return the key of the document about *subject*: its id is the URI without its type."""
    kind = subject.type
    return Key(_RESOURCES[kind], subject[len(f"mlg://{kind}/") :])


def subject_of(key: Key) -> Uri:
    """
    Return what the document is about.

    Raises:
        InvalidUri: this is no key of ours.
    """
    if key.resource not in TYPES:
        raise InvalidUri(f"{key.document[:80]!r} is no document of OpenLineage.")
    return Uri(f"mlg://{TYPES[key.resource]}/{key.id}")


@dataclass(frozen=True, slots=True)
class Names:
    """Turns names into URIs. Every method raises `InvalidUri` for a name that cannot be one."""

    platforms: normalise.Platforms
    #: The platform of people and teams that are not named by an e-mail address.
    directory: str

    def pipeline(self, job: Mapping[str, Json]) -> Uri:
        """Return the pipeline that *job* means."""
        return Uri.of("pipeline", self._platform(job), _needed(job, "name"))

    def run(self, job: Mapping[str, Json], run_id: Json) -> Uri:
        """Return the run of *job* with this id; a UUID has one spelling, in lower case."""
        plain = _needed({"runId": run_id}, "runId")
        return Uri.of("run", self._platform(job), normalise.run_id(plain))

    def data_set(self, reference: Mapping[str, Json]) -> Uri:
        """Return the data set that a namespace and a name mean."""
        space, name = _needed(reference, "namespace"), _needed(reference, "name")
        return normalise.data_set(space, name, self.platforms)

    def thing(self, reference: Mapping[str, Json]) -> Uri:
        """Return what *reference* means: a model if its own facets say so, else a data set."""
        whole = self.data_set(reference)
        return as_model(whole) if says_model(reference) else whole

    def column(self, reference: Mapping[str, Json], field: Json) -> Uri:
        """Return a column of the data set that *reference* means."""
        folding = normalise.dialect(_needed(reference, "namespace"))
        name = _needed({"field": field}, "field")
        return normalise.column(self.data_set(reference), name, folding)

    def owner(self, name: Json) -> Uri | None:
        """Return the person or team of this name; None where it is blank or masked (``***``)."""
        plain = normalise.text(name)
        if plain is None or not any(letter.isalnum() for letter in plain):
            return None
        return normalise.owner(plain, directory=self.directory)

    def _platform(self, job: Mapping[str, Json]) -> str:
        return self.platforms.named(_needed(job, "namespace"))


def as_model(data_set: Uri) -> Uri:
    """Return the model that OpenLineage calls by the name of a data set."""
    return Uri.of("model", data_set.platform, *data_set.segments)


def says_model(reference: Mapping[str, Json]) -> bool:
    """Say whether a data set's own facets call it a model."""
    facets = normalise.mapping(reference.get("facets"))
    return is_model(normalise.mapping(facets.get("datasetType")))


def is_model(facet: Mapping[str, Json]) -> bool:
    """Say whether a ``datasetType`` facet says MODEL."""
    return (normalise.text(facet.get("datasetType")) or "").upper() == "MODEL"


def _needed(item: Mapping[str, Json], key: str) -> str:
    value = normalise.text(item.get(key))
    if value is None:
        raise InvalidUri(f"There is no {key}.")
    return value
