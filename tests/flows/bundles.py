"""Bundles of type batch or transaction from their requests alone."""

from fhir_server.kernel.json import Json


def batch(kind: str, *entries: tuple[str, str, Json | None]) -> Json:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}
            for method, url, resource in entries
        ],
    }
