"""What a client sends into the log is known by its mark, whatever it says of itself."""

import pytest

from fhir_server.audit.received import RECEIVED, marked
from fhir_server.kernel.json import Json

OTHER = {"system": "urn:x", "code": "y"}


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (None, [RECEIVED]),
        ({"tag": [OTHER]}, [OTHER, RECEIVED]),
        ({"tag": [RECEIVED, OTHER, RECEIVED]}, [OTHER, RECEIVED]),
        ({"tag": [{**RECEIVED, "code": "server"}]}, [RECEIVED]),
        ({"tag": [{"system": RECEIVED["system"]}]}, [RECEIVED]),
    ],
)
def test_r_balp_019_the_mark_is_ours_alone(meta: Json | None, expected: list[Json]) -> None:
    event: Json = {"resourceType": "AuditEvent", **({"meta": meta} if meta else {})}

    assert marked(event)["meta"]["tag"] == expected


def test_all_else_stays_as_it_was_sent() -> None:
    event: Json = {"resourceType": "AuditEvent", "meta": {"profile": ["urn:p"]}, "recorded": "2026-01-01T00:00:00Z"}

    assert marked(event) == {**event, "meta": {"profile": ["urn:p"], "tag": [RECEIVED]}}
    assert "tag" not in event["meta"]
