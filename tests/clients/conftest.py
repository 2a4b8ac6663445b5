"""The demo clinic as its command serves it, a page for an app of npm's, and a browser with somebody to sign in.

The clients of npm are installed by `make clients`, which needs node; .ci/run has it. What is not
there is skipped, and the skip says so.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.browser.conftest import CHROMIUM
from tests.servers import started

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"


@dataclass(frozen=True)
class Demo:
    told: Json
    file: Path

    @property
    def base(self) -> str:
        return str(self.told["fhir_base"])

    def client(self, kind: str) -> Json:
        found: Json = next(one for one in self.told["clients"] if one["kind"] == kind)
        return found

    def user(self, username: str) -> Json:
        found: Json = next(one for one in self.told["users"] if one["username"] == username)
        return found


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    with started("demo", folder):
        yield Demo(json.decode((folder / "demo.json").read_bytes()), folder / "demo.json")


@pytest.fixture(scope="package")
def modules() -> Path:
    """Where npm put its clients, as their authors published them."""
    if not (MODULES / "fhirclient").is_dir():
        pytest.skip("The clients of npm are not installed; `make clients` does it, with node.")
    return MODULES


class _Pages(BaseHTTPRequestHandler):
    """The app: a page that starts it, one to which it comes back, and the client itself."""

    files: ClassVar[dict[str, tuple[Path, str]]] = {
        "/native/launch": (HERE / "app/launch.html", "text/html"),
        "/native/callback": (HERE / "app/callback.html", "text/html"),
        "/native/fhir-client.js": (MODULES / "fhirclient/build/fhir-client.min.js", "text/javascript"),
    }

    def do_GET(self) -> None:
        file, kind = self.files.get(urlsplit(self.path).path, (None, ""))
        self.send_response(200 if file and file.exists() else 404)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.end_headers()
        if file and file.exists():
            self.wfile.write(file.read_bytes())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test says what went wrong."""


@contextmanager
def _served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/native"
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """Where the app is: a native one of any port on loopback, as `demo-public` is registered."""
    with _served() as where:
        yield where


@pytest.fixture(scope="package")
def kept() -> dict[str, Any]:
    """What the browser keeps between modules: who signed in stays so, for a code is good for one sign-in."""
    return {}


@pytest.fixture(scope="module")
def browser(kept: dict[str, Any]) -> Iterator[BrowserContext]:
    """For one module: as long as Playwright's own event loop runs, no other test's can."""
    if not CHROMIUM:
        pytest.skip("There is no Chromium here; `apt-get install chromium` brings one.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = chromium.new_context(locale="en-GB", storage_state=kept.get("state"))
        context.set_default_timeout(20_000)
        yield context
        kept["state"] = context.storage_state()
        chromium.close()


def allow(page: Page, user: Json, patient: str = "") -> None:
    """What a person does on the pages: both factors unless signed in already, the patient if asked, the consent."""
    page.wait_for_url("**/auth/**")
    if page.get_by_label("User name").count():
        page.get_by_label("User name").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_label("Code from your authenticator app").fill(pyotp.TOTP(user["totp_secret"]).now())
        page.get_by_role("button", name="Continue").click()
    if patient:
        page.get_by_label("Name").fill(patient)
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name=patient).first.click()
    page.get_by_role("button", name="Allow what is ticked").click()


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("There is no node here; `apt-get install nodejs npm` brings it.")
    return found
