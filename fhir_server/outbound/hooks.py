"""Notifications on their way: one request to an endpoint that a client named, under the rules of every way out.

https://hl7.org/fhir/R4/subscription.html#2.46.7.1 (rest-hook). No redirect is followed, nothing of an answer is read.
"""

import asyncio
import ssl
from urllib.parse import urlsplit

from fhir_server.outbound.egress import Egress, EgressError
from fhir_server.subscriptions.ports import Notice

SECONDS = 10.0
_SUCCESS = range(200, 300)


class Hooks:
    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def may(self, url: str) -> bool:
        return self._egress.may(url)

    async def send(self, notice: Notice) -> bool:
        """True where it was answered with a 2xx in time."""
        import httpx2  # here, for it takes long to load

        headers = {"Accept-Encoding": "identity", "User-Agent": "fhir-server", **dict(notice.headers)}
        try:
            async with asyncio.timeout(SECONDS):
                # Resolved anew each time, and gone to where it was looked at: a name that changes leads nowhere.
                target, headers["Host"] = await asyncio.to_thread(self._egress.pinned, notice.url)
                async with (
                    httpx2.AsyncClient(verify=self._egress.trusted, trust_env=False, timeout=SECONDS) as client,
                    client.stream(
                        notice.method,
                        target,
                        headers=headers,
                        content=notice.body,
                        extensions={"sni_hostname": urlsplit(notice.url).hostname},
                    ) as answer,
                ):
                    return answer.status_code in _SUCCESS
        except (EgressError, httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, TimeoutError):
            return False
