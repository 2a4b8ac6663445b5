"""Page links: good for who got them, for a while, and for nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.api.paging import PARAMETER, Continued, Paging
from fhir_server.engine.call import Principal
from fhir_server.engine.position import Position
from fhir_server.kernel.errors import InvalidRequestError

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
CALLER = Principal("subject", "client", "issuer", "jti", ("user/*.rs",), "ann")
ASKED = Continued("Patient", (("family", "Chalmers"), ("_count", "2"), ("family", "")), Position(12345, "Patient/7"))
PAGING = Paging(bytes(range(32)), timedelta(minutes=15))


def link() -> str:
    return PAGING.link("http://x/fhir", ASKED, CALLER, NOW)


def text() -> str:
    return link().partition(f"?{PARAMETER}=")[2]


def test_a_link_leads_on_with_what_was_asked() -> None:
    assert link().startswith(f"http://x/fhir/Patient?{PARAMETER}=")

    assert PAGING.resume(text(), "Patient", CALLER, NOW + timedelta(minutes=14)) == ASKED


def test_a_link_says_nothing_of_what_was_asked() -> None:
    assert "Chalmers" not in link()
    assert "family" not in link()
    assert link() != link()


@pytest.mark.parametrize(
    "other",
    [
        replace(CALLER, subject="other"),
        replace(CALLER, client_id="other"),
        replace(CALLER, issuer="other"),
        replace(CALLER, patient=None),
        replace(CALLER, patient="ben"),
        replace(CALLER, subject="subjectclient", client_id=""),
    ],
)
def test_it_is_good_for_its_caller_alone(other: Principal) -> None:
    with pytest.raises(InvalidRequestError):
        PAGING.resume(text(), "Patient", other, NOW)


def test_a_new_token_of_the_same_caller_may_go_on() -> None:
    assert PAGING.resume(text(), "Patient", replace(CALLER, token_id="jti2"), NOW) == ASKED


def test_it_ends_and_is_for_one_type_and_one_key() -> None:
    for type, at, paging in (
        ("Patient", NOW + timedelta(minutes=15), PAGING),
        ("Observation", NOW, PAGING),
        ("Patient", NOW, Paging(bytes(32), timedelta(minutes=15))),
    ):
        with pytest.raises(InvalidRequestError):
            paging.resume(text(), type, CALLER, at)


@pytest.mark.parametrize("forged", ["", "A", "A" * 40, "\u00e9", "A" * 10_000, "../..", "=" * 8])
def test_what_is_no_link_is_refused(forged: str) -> None:
    with pytest.raises(InvalidRequestError):
        PAGING.resume(forged, "Patient", CALLER, NOW)


def test_no_letter_of_a_link_can_be_changed() -> None:
    good = text()
    for place in range(0, len(good), 7):
        other = "A" if good[place] != "A" else "B"
        with pytest.raises(InvalidRequestError):
            PAGING.resume(good[:place] + other + good[place + 1 :], "Patient", CALLER, NOW)
