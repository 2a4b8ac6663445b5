"""Who sees or changes a part of a resource writes that part, and nothing that turns the rest round."""

import pytest

from fhir_server.kernel.errors import ForbiddenError
from fhir_server.kernel.json import Json
from fhir_server.smart.parts import whole_of
from fhir_server.smart.roles import Reach, Rule

RULE = Rule(frozenset({"Patient"}), frozenset("cru"), Reach.ALL, only=frozenset({"name", "telecom"}))
STORED: Json = {
    "resourceType": "Patient",
    "id": "ann",
    "name": [{"family": "Before"}],
    "photo": [{"title": "unseen"}],
    "modifierExtension": [{"url": "urn:x", "valueBoolean": True}],
}
SEEN: Json = {name: value for name, value in STORED.items() if name != "photo"}


def test_what_is_not_seen_stays_as_it_was() -> None:
    written = whole_of(RULE, {**SEEN, "name": [{"family": "After"}]}, STORED)

    assert {**written, "meta": {}} == {**STORED, "name": [{"family": "After"}], "meta": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"modifierExtension": [{"url": "urn:x", "valueBoolean": False}]},
        {"implicitRules": "urn:other-rules"},
        {"photo": []},
        {"gender": "female"},
    ],
)
def test_what_turns_the_meaning_round_is_not_a_parts_to_write(change: Json) -> None:
    with pytest.raises(ForbiddenError, match=next(iter(change))):
        whole_of(RULE, {**SEEN, **change}, STORED)


def test_a_modifier_is_not_lost_by_leaving_it_out() -> None:
    left_out = {name: value for name, value in SEEN.items() if name != "modifierExtension"}

    assert whole_of(RULE, left_out, STORED)["modifierExtension"] == STORED["modifierExtension"]
