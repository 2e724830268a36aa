"""One vocabulary: sources' words brought to ours.

Ids to URIs, locations and OpenLineage names to data sets, references to models, addresses of
repositories to code, owners to people and teams, labels to tags, status words and times to ours.
Pure functions; each says which spellings it knows. `docs/reference/naming.md` lists the rules.
"""

from lineal.normalise.code import code
from lineal.normalise.models import ModelName, image, model, run_id, wandb_artifact
from lineal.normalise.namespaces import DEFAULT_PORTS, canonical_namespace, dialect, fold
from lineal.normalise.people import email, owner, slug
from lineal.normalise.places import (
    Place,
    canonical,
    column,
    data_set,
    in_warehouse,
    location,
    member,
    mlflow_source,
    repository,
    rewritten,
    without_password,
)
from lineal.normalise.platforms import NO_ALIASES, Platforms, Rewrite, rewrites
from lineal.normalise.times import EARLIEST, LATEST, iso_time, nanoseconds, time
from lineal.normalise.urns import Urn, datahub_column, datahub_data_set, datahub_environment
from lineal.normalise.values import (
    mapping,
    mappings,
    number,
    run_status,
    said,
    sequence,
    tag,
    tags,
    text,
)

__all__ = [
    "DEFAULT_PORTS",
    "EARLIEST",
    "LATEST",
    "NO_ALIASES",
    "ModelName",
    "Place",
    "Platforms",
    "Rewrite",
    "Urn",
    "canonical",
    "canonical_namespace",
    "code",
    "column",
    "data_set",
    "datahub_column",
    "datahub_data_set",
    "datahub_environment",
    "dialect",
    "email",
    "fold",
    "image",
    "in_warehouse",
    "iso_time",
    "location",
    "mapping",
    "mappings",
    "member",
    "mlflow_source",
    "model",
    "nanoseconds",
    "number",
    "owner",
    "repository",
    "rewrites",
    "rewritten",
    "run_id",
    "run_status",
    "said",
    "sequence",
    "slug",
    "tag",
    "tags",
    "text",
    "time",
    "wandb_artifact",
    "without_password",
]
