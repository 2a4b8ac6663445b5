"""docs/how-to/users.md: its commands, run in order against a demo clinic; and the people of `demo.json` at its door."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyotp
import pytest
from httpx2 import AsyncClient

from fhir_server.kernel import json
from fhir_server.smart.signin.users import ROLES
from tests.browsing import Browser
from tests.servers import Server, started

PAGE = Path(__file__).parents[2] / "docs/how-to/users.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = ("add", "list", "password", "asked", "done", "disable", "enable", "leave")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started("demo", tmp_path_factory.mktemp("users")) as server:
        yield server


def people(server: Server) -> list[dict[str, Any]]:
    place = Path(server.env["FHIR_SERVER_DATA_DIR"], "demo.json")
    found: list[dict[str, Any]] = json.decode(place.read_bytes())["users"]
    return found


@pytest.mark.anyio
async def test_everybody_of_the_demo_signs_in(demo: Server) -> None:
    found = people(demo)
    assert {one["role"] for one in found} == set(ROLES)
    for one in found:
        assert set(one) == {"username", "password", "totp_secret", "role", "fhirUser"}
        origin = f"http://127.0.0.1:{demo.port}"
        async with AsyncClient(base_url=origin) as http:
            browser = Browser(http, origin)
            page = await browser.get("/auth/sign-in")
            page = await browser.submit(page, "/sign-in", username=one["username"], password=one["password"])
            assert page.heading == "Second step"
            if one["role"] == "administrator":
                continue  # the commands below use the code of this half minute, which is good once
            page = await browser.submit(page, "/second-factor", code=pyotp.TOTP(one["totp_secret"]).now())
        assert page.heading == "Your sign-in", one["username"]


def test_they_are_somebody_in_the_record(demo: Server) -> None:
    token = demo.token()
    for one in people(demo):
        assert demo.ask("GET", f"/fhir/{one['fhirUser']}", Authorization=f"Bearer {token}")[0] == 200


def test_the_welcome_says_how_to_sign_in(demo: Server) -> None:
    said = "\n".join(demo.said)

    assert f"http://127.0.0.1:{demo.port}/auth/sign-in" in said
    assert "users code" in said


@pytest.fixture(scope="module")
def printed(demo: Server) -> Mapping[str, str]:
    """What each block of the page prints."""
    blocks = dict(zip(NAMES, BLOCK.findall(PAGE.read_text()), strict=True))
    env = {**demo.env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{demo.env['PATH']}"}
    found = {}
    for name, block in blocks.items():
        ended = subprocess.run(["sh", "-ec", block], env=env, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, (name, ended.stderr)
        found[name] = ended.stdout
    return found


def test_the_commands_do_what_the_page_says(printed: Mapping[str, str]) -> None:
    assert re.fullmatch(r"[a-z2-7-]{19}", printed["add"].splitlines()[-1])
    assert "zoe\tnurse,administrator\tactive\tno factor\tPractitioner/demo-nurse-1" in printed["list"]
    assert re.fullmatch(r"[a-z2-7-]{19}", printed["password"].splitlines()[-1])
    assert "Another administrator" in printed["asked"]
    assert "is gone" in printed["done"]
    assert "disabled" in printed["disable"]
    assert "may sign in again" in printed["enable"]
    assert "has left" in printed["leave"]
