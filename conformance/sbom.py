"""A bill of materials of what the lock installs, as CycloneDX 1.6 JSON: `make sbom`. The same lock makes the same bill.

https://cyclonedx.org/docs/1.6/json/; https://github.com/package-url/purl-spec; row S64. The hashes stay in the lock,
which has several for each package, one for each file that may be installed.
"""

import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

from fhir_server.kernel import json

ROOT = Path(__file__).parents[1]
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


def packages(lock: str) -> list[tuple[str, str]]:
    """Name and version of each, by name."""
    return sorted((re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in _PINNED.findall(lock))


def bill(lock: str, version: str) -> dict[str, Any]:
    found = packages(lock)
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{pinned}",
            "name": name,
            "version": pinned,
            "purl": f"pkg:pypi/{name}@{pinned}",
        }
        for name, pinned in found
    ]
    own = {"type": "application", "bom-ref": "fhir-server", "name": "fhir-server", "version": version}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, lock)}",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": "fhir-server", "dependsOn": [one["bom-ref"] for one in components]}],
    }


def written() -> bytes:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return json.pretty(json.encode(bill((ROOT / "requirements.lock").read_text(), version))) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(written())
