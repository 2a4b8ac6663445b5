"""A real browser on real pages: Debian's Chromium, driven by Playwright, at a server on loopback.

Where there is no Chromium the tests are skipped: `apt-get install chromium` brings it, .ci/run does so.
"""

import asyncio
import shutil
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.fakes.entrance import Entrance, entrance
from tests.servers import free_port

_T = TypeVar("_T")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)


@dataclass
class Site:
    """The pages on everything in memory, behind a real socket; at `localhost`, for numbers have no passkeys."""

    entrance: Entrance
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.entrance.door.base_url

    @property
    def callback(self) -> str:
        """Of the client: another site, as far as the browser knows."""
        return self.entrance.authorizations.callback

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """In the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@contextmanager
def served(at: Entrance, port: int) -> Iterator[Site]:
    config = uvicorn.Config(at.app, host="localhost", port=port, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.02)
        yield Site(at, loop)
    finally:
        server.should_exit = True
        thread.join(10)
        loop.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """For this package alone: as long as Playwright's own event loop runs, no other test's can."""
    if not CHROMIUM:
        pytest.skip("There is no Chromium here; `apt-get install chromium` brings one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def site(chromium: Browser) -> Iterator[Site]:
    port = free_port()
    with served(entrance(f"http://localhost:{port}", f"http://127.0.0.1:{port}/callback"), port) as running:
        yield running


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(locale="en-GB")
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
