"""What a person grants of what was asked: never more, and as narrow as they like. R-SMART-024, -032, -033."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.smart.signin.choices import (
    CATEGORIES,
    Choice,
    DataOffer,
    everything,
    granted,
    grants_something,
    offers,
)

LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
NOTHING = Choice(set(), set(), set(), {}, {})
ASKED = (
    "openid",
    "fhirUser",
    "launch/patient",
    "offline_access",
    "patient/*.rs",
    "patient/Patient.cruds",
    "patient/Observation.rs",
    "patient/Condition.read",
    "user/Media.*",
    "patient/Observation.rs?category=" + LAB,
)


def test_r_smart_032_all_of_it_is_what_was_asked() -> None:
    offered = offers(ASKED)

    assert granted(offered, everything(offered)) == ASKED


def test_nothing_of_it_is_to_be_told_what_is_chosen() -> None:
    scopes = granted(offers(ASKED), NOTHING)

    assert scopes == ("launch/patient",)
    assert not grants_something(scopes)
    assert grants_something(ASKED)


def test_r_smart_024_single_types_are_denied() -> None:
    offered = offers(("patient/*.rs",))
    choice = everything(offered)
    choice = replace(choice, types={0: {"Patient", "Observation"}})

    assert granted(offered, choice) == ("patient/Observation.rs", "patient/Patient.rs")


def test_r_smart_024_a_type_is_narrowed_to_a_category() -> None:
    offered = offers(("patient/Observation.cruds",))
    choice = replace(everything(offered), categories={0: {LAB}})

    assert granted(offered, choice) == (f"patient/Observation.rs?category={LAB}", "patient/Observation.cud")
    assert granted(offered, replace(choice, writing=set())) == (f"patient/Observation.rs?category={LAB}",)


def test_writing_is_granted_apart_from_reading() -> None:
    offered = offers(("patient/Patient.cruds", "user/Media.*"))
    reads = replace(everything(offered), writing=set())
    writes = replace(everything(offered), reading=set())

    assert granted(offered, reads) == ("patient/Patient.rs", "user/Media.read")
    assert granted(offered, writes) == ("patient/Patient.cud", "user/Media.write")


def test_r_smart_033_v1_asked_is_v1_granted() -> None:
    offered = offers(("patient/*.read", "patient/Observation.read"))
    choice = replace(everything(offered), types={0: {"Patient"}})

    assert granted(offered, choice) == ("patient/Patient.read", "patient/Observation.read")
    assert isinstance(offered[1], DataOffer)
    assert offered[1].categories == (), "v1 has no word for them"


def test_the_log_is_not_under_a_star() -> None:
    [whole] = offers(("user/*.rs",))
    [own] = offers(("patient/*.rs",))

    assert isinstance(whole, DataOffer)
    assert isinstance(own, DataOffer)
    assert "AuditEvent" not in whole.types
    assert "Patient" in own.types
    assert "Practitioner" in own.types
    assert "Endpoint" not in own.types
    assert set(own.types) < set(whole.types)


@pytest.mark.parametrize("scope", ["system/*.rs", "patient/Patient.", "patient/Patient.sr", "email", "<script>", "*"])
def test_what_is_no_scope_on_data_is_granted_as_it_is_or_not(scope: str) -> None:
    offered = offers((scope,))

    assert granted(offered, everything(offered)) == (scope,)
    assert granted(offered, NOTHING) == ()


SCOPES = st.sampled_from(
    [
        f"{context}/{type}.{letters}"
        for context in ("patient", "user")
        for type in ("*", "Patient", "Observation", "Condition")
        for letters in ("rs", "cruds", "u", "read", "write", "*", "rs?status=final")
    ]
    + ["openid", "fhirUser", "offline_access", "launch/patient"]
)
TYPES = st.sets(st.sampled_from(["Patient", "Observation", "Media", "AuditEvent", "*", "Nonsense", "Patient.cruds x"]))
TICKED = st.sets(st.sampled_from([*CATEGORIES["Observation"], *CATEGORIES["Condition"], "x|y", "a&b=c"]))
PLACES = st.sets(st.integers(-1, 8))
SPLIT = re.compile(r"(patient|user)/(\*|[A-Za-z]+)\.([a-z*]+)(\?.*)?")
LETTERS = {"read": "rs", "write": "cud", "*": "cruds"}


@given(
    st.lists(SCOPES, max_size=6, unique=True),
    st.builds(
        Choice,
        PLACES,
        PLACES,
        PLACES,
        st.dictionaries(st.integers(-1, 8), TYPES),
        st.dictionaries(st.integers(-1, 8), TICKED),
    ),
)
def test_r_smart_032_whatever_is_ticked_no_more_is_granted_than_was_asked(asked: list[str], choice: Choice) -> None:
    for scope in granted(offers(asked), choice):
        assert any(within(scope, one) for one in asked), scope


def within(scope: str, asked: str) -> bool:
    """Slow and obvious: the same context, that type, no letter more, and no condition less."""
    mine, theirs = SPLIT.fullmatch(scope), SPLIT.fullmatch(asked)
    if not mine or not theirs:
        return scope == asked
    return (
        mine[1] == theirs[1]
        and theirs[2] in {mine[2], "*"}
        and set(LETTERS.get(mine[3], mine[3])) <= set(LETTERS.get(theirs[3], theirs[3]))
        and (not theirs[4] or mine[4] == theirs[4])
        and "AuditEvent" not in mine[2]
    )
