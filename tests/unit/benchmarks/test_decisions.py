"""The benchmark of decisions measures what it says, on few of them."""

from benchmarks.decisions import figures
from fhir_server.consent.purposes import PURPOSES


def test_a_cached_decision_is_measured_beside_its_floor() -> None:
    floor, one, every = figures(times=3, rounds=1)

    assert floor.allowed is None
    assert [figure.allowed for figure in (one, every)] == [0.1, 0.1]
    assert f"{len(PURPOSES)} on file" in every.says
