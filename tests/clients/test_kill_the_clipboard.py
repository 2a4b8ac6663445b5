"""npm's kill-the-clipboard as whoever was handed a SMART Health Link: it opens what this server made."""

import subprocess
from pathlib import Path

import pytest

from fhir_server.kernel import json
from tests.clients.conftest import HERE, Demo, node


def test_m_4_a_third_partys_reader_opens_a_health_link(demo: Demo, modules: Path) -> None:
    if not (modules / "kill-the-clipboard").is_dir():
        pytest.skip("The clients of npm are not all installed; `make clients` does it, with node.")
    done = subprocess.run(
        [node(), str(HERE / "node/shl.mjs"), str(demo.file)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    met = json.decode(done.stdout.encode())
    assert (met["flag"], met["wrong"]) == ("P", "SHLInvalidPasscodeError")
    assert met["embedded"] == met["fetched"] == [["document", "demo-p1"]]
