"""Why a question was not answered; and what must not get into an address."""

from __future__ import annotations


class ClientError(Exception):
    """
    A question was not answered: *message* says what and why, *fix* what to do about it.

    *code* is one of the server's (such as ``not_found`` or ``invalid_uri``), or ``unreachable``
    where nobody answered, ``timeout`` where nobody did in time, ``broken`` where the connection
    broke off, ``unauthorized`` where a proxy asks who is there, ``garbled`` where the answer was
    not one of Lineal's.

    >>> str(ClientError("not_found", "Nothing is known as mlg://model/a/b.", "Search for it."))
    'Nothing is known as mlg://model/a/b. Search for it.'
    """

    def __init__(
        self,
        code: str,
        message: str,
        fix: str = "",
        *,
        status: int | None = None,
        nearest: tuple[str, ...] = (),
        request_id: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{message} {fix}".strip())
        self.code = code
        self.message = message
        self.fix = fix
        #: The HTTP status, where there was an answer.
        self.status = status
        #: URIs that look like the one asked for.
        self.nearest = nearest
        #: By which the operator finds this question in the log.
        self.request_id = request_id
        #: After how many seconds to try again, where the server says so.
        self.retry_after = retry_after
        #: How many events were acknowledged, and so are kept, before it went wrong.
        self.acknowledged = 0


def segment(name: str) -> str:
    """Return a name as a part of an address; raises `ClientError`."""
    if not name.isalnum():
        raise ClientError("invalid", f"{name!r} is no question.", "Ask one of q1 to q13.")
    return name.lower()
