"""What is synchronous runs beside the event loop, and does not heap up."""

import asyncio
import threading

import pytest

from fhir_server.kernel.errors import UnavailableError
from fhir_server.smart.oauth import threads
from fhir_server.smart.oauth.threads import Threads

pytestmark = pytest.mark.anyio


async def test_beyond_what_may_wait_it_is_refused_and_later_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_MOST_WAITING", 1)
    go_on = threading.Event()
    with Threads() as beside:
        first = asyncio.create_task(beside.run(go_on.wait, 10))
        await asyncio.sleep(0)

        with pytest.raises(UnavailableError):
            await beside.run(int, "1")
        go_on.set()

        assert await first is True
        assert await beside.run(int, "1") == 1
