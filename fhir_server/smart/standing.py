"""As whom a client acts when nobody is there to show a token: what it once had, as far as its registration still says.

RFC 6749 section 3.3; R-SMART-051: never more than what was granted, and never more than what is registered now.
"""

import asyncio
from dataclasses import replace

from fhir_server.engine.call import Principal
from fhir_server.smart.ports import Clients
from fhir_server.smart.scope_grants import for_backend


class Standing:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def __call__(self, holder: Principal) -> Principal | None:
        """None for a client that is disabled or gone, or has nothing left of what it had."""
        client = await asyncio.to_thread(self._clients.get, holder.client_id)
        if client is None or client.disabled:
            return None
        scopes = tuple(each for asked in holder.scopes for each in for_backend((asked,), client.scopes) or ())
        purposes = tuple(purpose for purpose in holder.purposes if purpose in client.purposes)
        if not scopes or (holder.purposes and not purposes):
            return None
        return replace(holder, scopes=scopes, purposes=purposes, name=client.name)
