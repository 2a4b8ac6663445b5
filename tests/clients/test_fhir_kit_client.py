"""npm's fhir-kit-client as a service: discovery, a token by its key, records, pages, patch, batch."""

import subprocess
from pathlib import Path

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from tests.clients.conftest import HERE, Demo, node


@pytest.fixture(scope="module")
def met(demo: Demo, modules: Path) -> Json:
    """What the script met, all of it asserted below."""
    done = subprocess.run(
        [node(), str(HERE / "node/kit.mjs"), str(demo.file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said: Json = json.decode(done.stdout.encode())
    return said


def test_it_finds_the_token_endpoint_and_the_statement(demo: Demo, met: Json) -> None:
    assert met["tokenUrl"] == f"{demo.told['issuer']}/auth/token"
    assert met["fhirVersion"] == "4.0.1"


def test_it_creates_patches_updates_and_reads_what_was(met: Json) -> None:
    assert met["created"] == "1"
    assert met["patched"] == ["female", "2"]
    assert met["updated"] == ["other", "3"]
    assert met["vread"] == "female"
    assert met["history"] == 3


def test_it_goes_through_all_pages_once(met: Json) -> None:
    assert met["pages"][:2] == [4, 4]
    assert len(met["seen"]) == len(set(met["seen"])) == sum(met["pages"])


def test_it_searches_by_post_and_by_compartment_and_resolves(met: Json) -> None:
    assert met["posted"] == [True]
    assert met["compartment"] is True
    assert met["resolved"] == "demo-p1"


def test_it_sends_batches_and_transactions_and_hears_what_is_gone(met: Json) -> None:
    assert met["batch"] == ["200", "404"]
    assert met["transaction"] == ["204"]
    assert met["gone"] == [410, "OperationOutcome"]
