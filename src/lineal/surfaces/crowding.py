"""How many questions walk at once: few, so that whoever asks for one thing need not wait for all.

Python does one thing at a time. Where forty questions walk at once, each is as slow as all of them
together, and a small one gets a word in only after each of the forty, again and again. Two at a
time are answered no later than that, and those that wait are in nobody's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from lineal.errors import OutOfTime

#: Not one, since a question may take seconds: then all others would wait for it.
WALKS = 2


class FewAtOnce:
    """
    Lets so many be answered at once, in the order in which they came.

    A dependency of endpoints, for one server, which runs in one event loop. Whoever waits holds
    no thread, and the time that its question may take begins when the waiting ends. Of whom nobody
    waits for the answer any more, the question is not answered.
    """

    def __init__(self, places: int = WALKS) -> None:
        """*places*: how many at once."""
        self._places = asyncio.Semaphore(places)

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self._places.locked()

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        """
        Wait for a place, and hold it until the answer is made.

        Raises:
            OutOfTime: the client has left meanwhile.
        """
        async with self._places:
            # What the server tells first may be that all of the question is there.
            for _ in range(2):
                if await request.is_disconnected():
                    raise OutOfTime("Whoever asked has left.", fix="Ask again, and wait.")
            yield
