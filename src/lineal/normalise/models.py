"""Models, and what serves them, in the spellings of the tools: registries, hubs, files, images.

A version that cannot change is a ``model-version``; what may be moved to another (an alias, a
branch, a tag) is a name of the ``model``, and the reference says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from lineal.errors import InvalidUri
from lineal.model import Uri
from lineal.normalise.places import location
from lineal.normalise.platforms import NO_ALIASES, Platforms

_MLFLOW = re.compile(r"models:/+(?P<name>[^/@]+)(?:/(?P<version>[^/@]+)|@(?P<alias>[^/@]+))?")
_LOGGED = re.compile(r"(?:models:/+)?(m-[0-9a-f]{32})(?:/.*)?")
_RUN = re.compile(r"runs:/+(?P<run>[^/]+)(?:/(?P<path>.+))?", re.DOTALL)
_HUB = re.compile(
    r"(?:hf://|https?://(?:www\.)?huggingface\.co/)(?!datasets/|spaces/)"
    r"(?P<name>[^/@:]+/[^/@:]+)(?:[@:](?P<revision>[^/]+)|/(?:tree|resolve|blob)/(?P<at>[^/]+))?(?:/.*)?",
    re.IGNORECASE,
)
_WANDB = re.compile(
    r"(?:wandb(?:-artifact)?:/+)?(?P<entity>[^/:]+)/(?P<project>[^/:]+)/(?P<name>[^/:]+)"
    r"(?::(?P<version>[^/:]+))?"
)
_CLAIM = re.compile(r"pvc://(?P<claim>[^/]+)(?:/(?P<path>.*))?", re.DOTALL)
_OCI = re.compile(r"(?:oci(?:\+[a-z]+)?|docker)://(?P<image>.+)")
_IMAGE = re.compile(
    r"(?P<name>[^@]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9+._-]+:[0-9a-f]{32,}))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ModelName:
    """What a reference to a model means."""

    #: The model, or one fixed version of it.
    uri: Uri
    #: The alias, branch or tag that was named: it may mean another version tomorrow.
    alias: str | None = None


def model(
    reference: str,
    *,
    registry: str = "mlflow",
    scope: str | None = None,
    platforms: Platforms = NO_ALIASES,
) -> ModelName:
    """
    Return the model or version that *reference* names.

    Known are MLflow's ``models:/name/3``, ``models:/name@alias``, ``models:/m-<hex>``,
    ``runs:/id/path`` (all of *registry*), ``hf://org/name@revision``, ``wandb-artifact://e/p/n:v3``,
    ``oci://host/image@digest``, ``pvc://claim/path`` (of the cluster or namespace *scope*), and the
    address of any file or folder, which is a version.

    >>> model("models:/ranking@champion")
    ModelName(uri=Uri('mlg://model/mlflow/ranking'), alias='champion')

    Raises:
        InvalidUri: it is none of these.
    """
    plain = reference.strip()
    if found := _LOGGED.fullmatch(plain):
        return ModelName(Uri.of("model-version", registry, found.group(1)))
    if found := _MLFLOW.fullmatch(plain):
        return _registered(registry, unquote(found["name"]), found["version"], found["alias"])
    if found := _RUN.fullmatch(plain):
        path = (found["path"] or "").strip("/")
        return ModelName(
            Uri.of("model-version", registry, f"runs:/{found['run']}/{path}".rstrip("/"))
        )
    if found := _HUB.fullmatch(plain):
        return _hub(found["name"], found["revision"] or found["at"])
    if plain.startswith("wandb"):
        return wandb_artifact(plain)
    if found := _OCI.fullmatch(plain):
        return image(found["image"])
    if found := _CLAIM.fullmatch(plain):
        path = re.sub("/{2,}", "/", found["path"] or "").strip("/")
        steps = [step for step in (scope, found["claim"], path) if step]
        return ModelName(Uri.of("model-version", "pvc", *steps))
    return ModelName(_file(plain, platforms))


def _registered(registry: str, name: str, version: str | None, alias: str | None) -> ModelName:
    if version is not None and version.isdigit():
        return ModelName(Uri.of("model-version", registry, name, str(int(version))))
    return ModelName(Uri.of("model", registry, name), alias or version)


def _hub(name: str, revision: str | None) -> ModelName:
    plain = (revision or "").lower()
    if _COMMIT.fullmatch(plain):
        return ModelName(Uri.of("model-version", "huggingface", f"{name}@{plain}"))
    return ModelName(Uri.of("model", "huggingface", name), revision)


def _file(address: str, platforms: Platforms) -> Uri:
    scheme, found, rest = address.partition("://")
    if scheme.lower() in ("http", "https"):
        address = address.partition("?")[0].partition("#")[0]
    if found and rest and "/" not in rest:
        address = f"{address}/"
    return Uri.of("model-version", *location(address, platforms).parts[1:])


def wandb_artifact(text: str) -> ModelName:
    """
    Return the model that an artifact of Weights & Biases is: ``entity/project/name:v3``.

    Only ``v`` and a number is a version; ``latest`` and every other word is an alias.

    Raises:
        InvalidUri: *text* is no such name.
    """
    found = _WANDB.fullmatch(text.strip())
    if found is None:
        raise InvalidUri(
            f"{text[:80]!r} is no artifact of Weights & Biases.",
            fix="Write entity/project/name:v3.",
        )
    steps = (found["entity"], found["project"], found["name"])
    version = found["version"]
    if version and re.fullmatch(r"v\d+", version):
        return ModelName(Uri.of("model-version", "wandb", *steps, version))
    return ModelName(Uri.of("model", "wandb", *steps), version)


def image(text: str) -> ModelName:
    """
    Return what a container image is: a version by its digest, else a model and a tag that moves.

    >>> image("python:3").uri
    Uri('mlg://model/oci/docker.io/library%2Fpython')

    Raises:
        InvalidUri: *text* is no image.
    """
    found = _IMAGE.fullmatch(text.strip())
    if found is None:
        raise InvalidUri(f"{text[:80]!r} is no container image.", fix="Write host/name@digest.")
    host, name = _repository(found["name"])
    if found["digest"]:
        return ModelName(Uri.of("model-version", "oci", host, f"{name}@{found['digest']}"))
    return ModelName(Uri.of("model", "oci", host, name), found["tag"] or "latest")


def _repository(name: str) -> tuple[str, str]:
    """Part the name of an image into host and path, as Docker reads it."""
    host, slash, path = name.partition("/")
    if not slash or not (re.search(r"[.:]", host) or host == "localhost"):
        host, path = "docker.io", name if slash else f"library/{name}"
    return ("docker.io" if host.lower() == "index.docker.io" else host.lower()), path.lower()


def run_id(text: str) -> str:
    """
    Return the one spelling of a run's id: a UUID in lower case, anything else as it is.

    >>> run_id("urn:uuid:6F2C1F3A-1111-4222-8333-444455556666")
    '6f2c1f3a-1111-4222-8333-444455556666'
    """
    plain = text.strip()
    found = _UUID.fullmatch(plain)
    return found.group(1).lower() if found else plain
