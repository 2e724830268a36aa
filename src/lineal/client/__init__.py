"""Asking a Lineal server from a program, over HTTP.

Stands alone: it needs httpx2 and nothing else of Lineal. Answers are the plain dictionaries of
the REST interface, whose forms are in `lineal.client.answers`.

    from lineal.client import Client

    with Client("http://127.0.0.1:8585") as lineal:
        for hit in lineal.search("type:model ranking")["value"]["hits"]:
            print(hit["name"], hit["uri"])
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeAlias, Unpack, cast

import httpx2

from lineal.client.answers import (
    Answer,
    Cost,
    Differences,
    Entity,
    Explanation,
    Found,
    Happening,
    Json,
    Names,
    Neighbour,
    Preview,
    Recent,
    Refusal,
    Sent,
    Suggestion,
    Times,
    Value,
    Walk,
)
from lineal.client.errors import ClientError, segment
from lineal.client.keeping import Keeping
from lineal.client.walks import Parameter, Walks, said_layers

__all__ = ["Answer", "Client", "ClientError", "Cost", "Json", "Sent", "Times", "Walk"]

#: How often a question is asked in all while nobody answers, and the first pause in seconds.
TRIES = 3
PAUSE = 0.2
#: How many events go into one request, and how many bytes of them.
BATCH, BATCH_BYTES = 500, 4_000_000

_Parameters: TypeAlias = Mapping[str, Parameter]


class Client(Walks, Keeping):
    """
    A Lineal server, by its address.

    Whatever reads takes the two `Times`, and is tried again while nobody answers; what is sent is
    sent once.

    >>> Client("127.0.0.1:8585")
    Traceback (most recent call last):
      ...
    lineal.client.errors.ClientError: '127.0.0.1:8585' is no address. Write it like http://127.0.0.1:8585.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = _address(url)
        #: The same without a password, for messages.
        self._shown = str(httpx2.URL(self.url).copy_with(userinfo=b""))
        self._http = httpx2.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 5.0)),
            trust_env=not _is_loopback(self.url),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ── One thing ────────────────────────────────────────────────────────────────────────────

    def get(self, uri: str, **times: Unpack[Times]) -> Answer[Entity]:
        """Return what all sources together say of a thing."""
        return self._ask("/entities", uri=uri, **times)

    def neighbours(
        self,
        uri: str,
        *,
        limit: int | None = None,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Neighbour]]:
        """Return what a thing is joined to, by which relation."""
        asked: dict[str, Parameter] = {"uri": uri, "limit": limit, **said_layers(layers)}
        return self._ask("/entities/neighbours", **asked, **times)

    def explain(
        self, start: str, kind: str, end: str, **times: Unpack[Times]
    ) -> Answer[Explanation]:
        """Return why an edge is believed, down to the answers of sources."""
        ends = {"from": start, "kind": kind, "to": end}
        return self._ask("/edges/explain", **ends, **times)

    def history(
        self, uri: str, *, limit: int | None = None, **times: Unpack[Times]
    ) -> Answer[list[Happening]]:
        """Return what happened to a thing, newest first, and who caused it."""
        return self._ask("/history", uri=uri, limit=limit, **times)

    def recent(self, *, limit: int | None = None, **times: Unpack[Times]) -> Answer[list[Recent]]:
        """Return what the last transactions changed, newest first, by whom and why."""
        return self._ask("/recent", limit=limit, **times)

    # ── One thing under many names ───────────────────────────────────────────────────────────

    def names(self, uri: str, **times: Unpack[Times]) -> Answer[Names]:
        """Return all names of a thing, and who says that they are one."""
        return self._ask("/identity", uri=uri, **times)

    def preview_merge(
        self, one: str, other: str, *, across_environments: bool = False, **times: Unpack[Times]
    ) -> Answer[Preview]:
        """Return what would be so if two names were one thing; nothing is written."""
        across = "true" if across_environments else None
        return self._ask(
            "/identity/preview", one=one, other=other, across_environments=across, **times
        )

    def preview_split(
        self, one: str, other: str | None = None, **times: Unpack[Times]
    ) -> Answer[Preview]:
        """Return what would be so if a name were parted from another, or from all its others."""
        return self._ask("/identity/preview", deed="split", one=one, other=other, **times)

    def suggestions(
        self, uri: str | None = None, *, limit: int | None = None, **times: Unpack[Times]
    ) -> Answer[list[Suggestion]]:
        """Return which things may be one, likeliest first."""
        return self._ask("/identity/suggestions", uri=uri, limit=limit, **times)

    # ── What differs ─────────────────────────────────────────────────────────────────────────

    def diff(
        self,
        uri: str,
        before: Times,
        *,
        limit: int | None = None,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[Differences]:
        """Return what differs of a thing and what is around it, from *before* to *times*."""
        asked: dict[str, str | int | None] = {"uri": uri, "limit": limit, **_costs(cost)}
        return self._ask("/diff", **asked, **_earlier(before), **times)

    def diff_lineage(
        self,
        uri: str,
        before: Times,
        *,
        up: int | None = None,
        down: int | None = None,
        limit: int | None = None,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[Differences]:
        """Return what differs of the lineage of a thing, from *before* to *times*."""
        asked: dict[str, str | int | None] = {"uri": uri, "up": up, "down": down, "limit": limit}
        asked.update(_costs(cost))
        return self._ask("/diff/lineage", **asked, **_earlier(before), **times)

    def diff_type(
        self,
        kind: str,
        before: Times,
        *,
        limit: int | None = None,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[Differences]:
        """Return what differs of all things of a type, from *before* to *times*."""
        asked: dict[str, str | int | None] = {"type": kind, "limit": limit, **_costs(cost)}
        return self._ask("/diff/type", **asked, **_earlier(before), **times)

    # ── Finding ──────────────────────────────────────────────────────────────────────────────

    def search(
        self,
        text: str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[Found]:
        """
        Return what fits a search text, such as ``type:model framework:xgboost ranking``.

        Every attribute that its type marks as a facet is a filter. With one ``type:`` the facets
        of that type are counted too.
        """
        asked: dict[str, Parameter] = {"limit": limit, "offset": offset, **said_layers(layers)}
        return self._ask("/search", q=text, **asked, **times)

    def counts(self, **times: Unpack[Times]) -> Answer[dict[str, int]]:
        """Return how many things of each type are known."""
        return self._ask("/counts", **times)

    def types(self) -> dict[str, Json]:
        """Return the types of things and the kinds of edges."""
        return self._get("/types", {})

    def health(self) -> dict[str, Json]:
        """Return how each source stands, and which promises are broken."""
        return self._get("/health", {})

    # ── The thirteen questions ───────────────────────────────────────────────────────────────

    def ask(
        self, question: str, uri: str, *, layers: Sequence[str] = (), **times: Unpack[Times]
    ) -> Answer[Json]:
        """Return the answer to one of the thirteen questions, ``q1`` to ``q13``, about a thing."""
        path = f"/questions/{segment(question)}"
        return self._ask(path, uri=uri, **said_layers(layers), **times)

    # ── Sending ──────────────────────────────────────────────────────────────────────────────

    def send(self, events: Iterable[Mapping[str, Json]], *, source: str | None = None) -> Sent:
        """
        Send events that something changed; a batch is kept whole or not at all.

        Without *source* the server finds out to which of its sources each event makes sense. What
        it has acknowledged is kept, also where a later batch fails: `ClientError.acknowledged`.
        """
        accepted = 0
        for batch in _batches(events):
            with _after(accepted):
                said = self._post("/events", {"source": source} if source else {}, batch)
            accepted += _number(said.get("accepted"))
        return {"accepted": accepted, "refused": []}

    def send_openlineage(self, events: Iterable[Mapping[str, Json]]) -> Sent:
        """Send OpenLineage events; those that are invalid are refused one by one."""
        total, refused = 0, list[Refusal]()
        for batch in _batches(events):
            with _after(total - len(refused)):
                said = self._post("/lineage/batch", {}, batch)
            refused += _refusals(said.get("failed_events"), total)
            total += len(batch)
        return {"accepted": total - len(refused), "refused": refused}

    # ── Over the wire ────────────────────────────────────────────────────────────────────────

    def _ask(self, path: str, **parameters: Parameter) -> Answer[Value]:
        answer = self._get(path, parameters)
        if "value" not in answer:
            raise _garbled(self._shown, 200)
        return cast("Answer[Value]", answer)

    def _get(self, path: str, parameters: _Parameters) -> dict[str, Json]:
        said = {name: value for name, value in parameters.items() if value is not None}
        request = self._http.build_request("GET", path, params=said)
        for tried in range(1, TRIES):
            try:
                return self._answer(request)
            except ClientError as error:
                if error.code != "unreachable":
                    raise
            time.sleep(PAUSE * 2 ** (tried - 1))
        return self._answer(request)

    def _do(self, path: str, said: Mapping[str, Json]) -> dict[str, Json]:
        return self._answer(self._http.build_request("POST", path, json=dict(said)))

    def _post(self, path: str, parameters: _Parameters, batch: Sequence[bytes]) -> dict[str, Json]:
        request = self._http.build_request(
            "POST",
            path,
            params=parameters,
            content=b"[%b]" % b",".join(batch),
            headers={"Content-Type": "application/json"},
        )
        return self._answer(request)

    def _answer(self, request: httpx2.Request) -> dict[str, Json]:
        try:
            answer = self._http.send(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise _unreached(self._shown, error) from error
        except httpx2.TimeoutException as error:
            raise ClientError(
                "timeout", f"{self._shown} did not answer in time.", "Ask for less, or try again."
            ) from error
        except httpx2.HTTPError as error:
            raise ClientError(
                "broken",
                f"{self._shown} broke off: {str(error) or type(error).__name__}.",
                "Try again; if it happens again, see the server's log.",
            ) from error
        if not answer.is_success:
            raise _refusal(answer, self._shown)
        return _decoded(answer, self._shown)


@contextlib.contextmanager
def _after(acknowledged: int) -> Iterator[None]:
    """Let an error of the block say how many events are kept all the same."""
    try:
        yield
    except ClientError as error:
        error.acknowledged = acknowledged
        raise


def _costs(cost: Cost | None) -> dict[str, int | None]:
    """Return what a comparison may cost as parameters."""
    said = cost or {}
    return {"edges": said.get("edges"), "rows": said.get("rows"), "ms": said.get("ms")}


def _earlier(before: Times) -> dict[str, str | None]:
    """Return the first of two moments as the server is asked for it."""
    return {
        "from_known_at": before.get("known_at"),
        "from_valid_at": before.get("valid_at"),
    }


def _address(url: str) -> str:
    """Return the address of a server without what follows it; raises `ClientError`."""
    fix = "Write it like http://127.0.0.1:8585."
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise ClientError("invalid", f"{url!r} is no address: {error}.", fix) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ClientError("invalid", f"{url!r} is no address.", fix)
    return str(parsed.copy_with(query=None, fragment=None)).rstrip("/").removesuffix("/api/v1")


def _is_loopback(url: str) -> bool:
    """
    Tell whether an address is on this machine, so that no proxy belongs between.

    >>> _is_loopback("http://[::1]:8585"), _is_loopback("https://lineal.example.org")
    (True, False)
    """
    host = httpx2.URL(url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _batches(events: Iterable[Mapping[str, Json]]) -> Iterator[list[bytes]]:
    """Yield events as JSON, as many at a time as a server takes."""
    batch, size = list[bytes](), 0
    for event in events:
        text = json.dumps(event).encode()
        if batch and (len(batch) == BATCH or size + len(text) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield batch


def _number(said: Json) -> int:
    return said if isinstance(said, int) else 0


def _refusals(said: Json, before: int) -> list[Refusal]:
    """Return what a server refused of a batch, counted from the first event of all."""
    failed = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
    return [
        {"index": before + _number(one.get("index")), "reason": str(one.get("reason"))}
        for one in failed
    ]


def _decoded(answer: httpx2.Response, url: str) -> dict[str, Json]:
    if answer.status_code == 204:
        return {}
    try:
        decoded = json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise _garbled(url, answer.status_code) from error
    if not isinstance(decoded, dict):
        raise _garbled(url, answer.status_code)
    return decoded


def _garbled(url: str, status: int) -> ClientError:
    return ClientError(
        "garbled",
        f"{url} answered {status} with something that is not Lineal's.",
        "Check the address; another program may be listening there.",
        status=status,
    )


def _unreached(url: str, error: Exception) -> ClientError:
    if "certificate" in str(error).lower():
        return ClientError(
            "unreachable",
            f"The certificate of {url} is not trusted: {error}.",
            "Name the server as its certificate does, and its authority in SSL_CERT_FILE.",
        )
    return ClientError(
        "unreachable",
        f"Nobody answers at {url}: {error}.",
        "Start a server there with `lineal serve`, or name another.",
    )


def _not_let_in(url: str, status: int) -> ClientError:
    return ClientError(
        "unauthorized",
        f"{url} lets nobody in without a proof of who is there ({status}).",
        "Set LINEAL_TOKEN to the token that the proxy before it knows.",
        status=status,
    )


def _refusal(answer: httpx2.Response, url: str) -> ClientError:
    """Return the server's problem document as an error."""
    status = answer.status_code
    try:
        problem = json.loads(answer.content)
    except (ValueError, RecursionError):
        problem = None
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        return _not_let_in(url, status) if status in (401, 403) else _garbled(url, status)
    after = answer.headers.get("retry-after", "")
    nearest, request = problem.get("nearest"), problem.get("request_id")
    return ClientError(
        problem["code"],
        str(problem.get("detail") or problem.get("title") or f"{url} answered {status}."),
        str(problem.get("fix") or ""),
        status=status,
        nearest=tuple(map(str, nearest)) if isinstance(nearest, list) else (),
        request_id=str(request) if request else None,
        retry_after=int(after) if after.isdecimal() else None,
    )
