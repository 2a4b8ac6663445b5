"""S64: what would be looked up among known vulnerabilities is all that is installed, and nothing else."""

import runpy
from pathlib import Path

from fhir_server.kernel import json

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "conformance/sbom.py"))


def test_s_64_the_bill_of_materials_names_every_package_of_the_lock() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line[:1].isalnum()]

    bill = json.decode(SCRIPT["written"]())

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert len(bill["components"]) == len(lines) > 50
    assert {one["purl"] for one in bill["components"]} >= {f"pkg:pypi/{name}" for name in pinned(lines)}
    assert SCRIPT["written"]() == SCRIPT["written"]()


def pinned(lines: list[str]) -> list[str]:
    """Some that are there by a plain name."""
    return [line.split()[0].replace("==", "@") for line in lines if line.startswith(("pymongo=", "cryptography="))]


def test_s_64_a_name_is_written_as_the_index_writes_it() -> None:
    found = SCRIPT["packages"](
        "Typing_Extensions[all]==4.1 \\\n    --hash=sha256:00\nzope.interface==5.0 ; x\n# no==1\n"
    )

    assert found == [("typing-extensions", "4.1"), ("zope-interface", "5.0")]
