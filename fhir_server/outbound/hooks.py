"""Notifications on their way: requests to an endpoint that a client named, under the rules of every way out.

https://hl7.org/fhir/R4/subscription.html#2.46.7.1 (rest-hook). No redirect is followed, nothing of an answer is kept.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fhir_server.outbound.egress import Egress
from fhir_server.subscriptions.ports import Notice


class Hooks:
    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def may(self, url: str) -> bool:
        return self._egress.may(url)

    async def send(self, notice: Notice) -> bool:
        """One alone: True where it was answered with a 2xx in time."""
        async with self.line() as send:
            return await send(notice)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Callable[[Notice], Awaitable[bool]]]:
        """For several to one endpoint, one after the other: a connection that the other side leaves open is used again.

        A name is resolved anew for each: where it leads to another address, another connection is opened.
        """
        from fhir_server.outbound.hook_line import opened  # here, for what it needs takes long to load

        async with opened(self._egress) as line:
            yield line.send
