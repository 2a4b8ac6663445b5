"""A pack rests on one state of the patient's consents."""

import pytest

from fhir_server.engine.change import CareBasis
from fhir_server.injectables.evidence import of_one_state
from fhir_server.kernel.errors import StaleBasisError


def test_what_caller_and_recipient_rest_on_is_of_one_state() -> None:
    before, after = CareBasis("eu", "p1", 1), CareBasis("all-normal", "p1", 2)

    assert of_one_state(after, after) is after
    with pytest.raises(StaleBasisError):
        of_one_state(before, after)
