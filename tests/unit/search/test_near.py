"""R4 Location, near: within a distance, given in a unit of length."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.json import Json
from fhir_server.search.types.near import PlaceNear, PlaceValue
from tests.unit.search.asking import finds


def location(latitude: float, longitude: float) -> Json:
    return {"resourceType": "Location", "id": "l", "position": {"latitude": latitude, "longitude": longitude}}


BATH = location(51.3813, -2.359)


@pytest.mark.parametrize(
    "asked", ["51.4545|-2.5879|20|km", "51.4545|-2.5879|20", "51.38|-2.36|1|km", "51.38|-2.36|900|m"]
)
def test_a_place_is_near(asked: str) -> None:
    assert finds(BATH, f"near={asked}")


@pytest.mark.parametrize(
    "asked", ["51.4545|-2.5879|17|km", "51.5074|-0.1278|100|km", "51.38|-2.36|100|m", "51.38|2.36"]
)
def test_a_place_is_too_far(asked: str) -> None:
    assert not finds(BATH, f"near={asked}")


def test_without_a_distance_it_is_some_that_the_server_chooses() -> None:
    assert finds(BATH, "near=51.4545|-2.5879")
    assert finds(BATH, "near=51.4545|-2.5879|17,51.5074|-0.1278|200"), "either will do"


def test_the_earth_is_round() -> None:
    assert finds(location(10, 179.9), "near=10|-179.9|30")
    assert finds(location(89.9, 0), "near=89.9|180|30")


def test_a_place_without_coordinates_is_nowhere() -> None:
    nowhere = {"resourceType": "Location", "id": "l", "position": {"latitude": 51}}

    assert finds(nowhere, "near:missing=true")
    assert finds(location(200, 0), "near:missing=true")


@pytest.mark.parametrize(
    "asked", ["51", "51|x", "91|0|1", "0|181|1", "1|2|-3", "1|2|3|kg", "1|2|3|furlong", "1|2|3|km|4", "gt1|2|3"]
)
def test_r_fhir_045_what_is_no_distance_from_a_place_is_refused(asked: str) -> None:
    with pytest.raises(InvalidRequestError):
        finds(BATH, f"near={asked}")


@settings(max_examples=300, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 3_000_000), st.floats(0, 1), st.floats(0, math.tau))
def test_whatever_is_near_lies_in_a_cell_that_is_looked_into(
    latitude: float, longitude: float, distance: float, share: float, bearing: float
) -> None:
    asked = PlaceNear(latitude, longitude, distance)
    value = gone_from(latitude, longitude, distance * share, bearing)

    assert not asked.matches(value) or all(set(value.keywords()) & set(group) for group in asked.cover())


def gone_from(latitude: float, longitude: float, distance: float, bearing: float) -> PlaceValue:
    """Where one arrives who sets out in a direction and goes so far."""
    angle, north = distance / 6_371_008.8, math.radians(latitude)
    arrived = math.asin(math.sin(north) * math.cos(angle) + math.cos(north) * math.sin(angle) * math.cos(bearing))
    east = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(north), math.cos(angle) - math.sin(north) * math.sin(arrived)
    )
    turned = (longitude + math.degrees(east) + 180) % 360 - 180
    return PlaceValue(math.degrees(arrived), turned)
