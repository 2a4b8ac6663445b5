"""What is granted is never more than what was asked for, nor more than what is registered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.smart.scope_grants import covered, for_backend, for_person
from fhir_server.smart.scopes import parse

APP = (
    "openid",
    "fhirUser",
    "launch/patient",
    "offline_access",
    "patient/*.rs",
    "patient/Observation.c",
    "user/Patient.cruds",
)
SERVICE = ("system/*.rs", "system/AuditEvent.rs", "ehr/launch")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("patient/*.rs", "patient/*.rs"),
        ("patient/Patient.r", "patient/Patient.r"),
        ("openid fhirUser patient/Patient.r", "openid fhirUser patient/Patient.r"),
        ("patient/*.cruds", "patient/*.rs patient/Observation.c"),
        ("patient/Observation.cruds", "patient/Observation.rs patient/Observation.c"),
        ("patient/Patient.rs patient/Patient.rs", "patient/Patient.rs"),
        ("user/*.rs", "user/Patient.rs"),
        ("user/Patient.cruds", "user/Patient.cruds"),
        ("user/Observation.rs", ""),
        ("online_access", ""),
        ("", ""),
    ],
)
def test_r_smart_032_an_app_gets_what_it_asked_for_narrowed_to_its_registration(asked: str, granted: str) -> None:
    assert " ".join(for_person(asked.split(), APP)) == granted


@pytest.mark.parametrize("asked", ["patient/*.read", "patient/Patient.read", "user/Patient.write", "user/Patient.*"])
def test_r_smart_033_v1_stays_v1(asked: str) -> None:
    assert for_person([asked], APP) == (asked,)


def test_r_smart_033_v1_that_is_narrowed_to_no_word_of_v1_is_told_in_letters() -> None:
    assert for_person(["patient/Observation.*"], APP) == ("patient/Observation.read", "patient/Observation.c")
    assert for_person(["user/*.read"], ("user/Patient.r",)) == ("user/Patient.r",)


@pytest.mark.parametrize(
    "asked",
    [
        "patient/Patient.dus",
        "patient/Patient.rsx",
        "patient/Patient.unknownAction",
        "patient/Patient.",
        "patient/patient.rs",
        "patient/Nonsense.rs",
        "patient/*.search",
        "launch/nonsense",
        "launch/patient?role=x",
        "nonsense",
        "system/*.rs",
        "system/Patient.rs",
        "ehr/launch",
    ],
)
def test_r_smart_045_053_064_065_what_is_unknown_or_of_back_ends_is_left_out(asked: str) -> None:
    assert for_person([asked, "openid"], (*APP, *SERVICE)) == ("openid",)


@pytest.mark.parametrize("asked", ["patient/AuditEvent.rs", "user/AuditEvent.r"])
def test_a_wildcard_does_not_open_the_log(asked: str) -> None:
    assert for_person([asked], ("patient/*.cruds", "user/*.cruds")) == ()
    assert for_person([f"{asked[:4]}", "user/*.rs"], ("user/AuditEvent.rs",)) == ()


def test_r_smart_062_a_granular_scope_that_is_not_enforced_is_not_granted() -> None:
    granular = "patient/Observation.rs?category=laboratory"

    assert (for_person([granular], APP) == (granular,)) is (parse(granular) is not None)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/*.rs", "system/*.rs"),
        ("system/*.read", "system/*.read"),
        ("system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.r system/*.read", "system/Patient.r system/*.read"),
        ("system/AuditEvent.rs", "system/AuditEvent.rs"),
        ("ehr/launch", "ehr/launch"),
    ],
)
def test_r_bulk_036_a_back_end_gets_what_it_asked_for(asked: str, granted: str) -> None:
    assert for_backend(asked.split(), SERVICE) == tuple(granted.split())


def test_a_back_ends_wildcard_is_narrowed_to_its_types() -> None:
    registered = ("system/Patient.rs", "system/Observation.r", "system/Device.cruds", "system/AuditEvent.rs")

    assert for_backend(["system/*.rs"], registered) == ("system/Patient.rs", "system/Device.rs")
    assert for_backend(["system/*.read"], registered) == ("system/Patient.read", "system/Device.read")


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "launch",
        "launch/patient",
        "openid",
        "system/Patient.unknownAction",
        "system/Patient.dus",
        "system/Nonsense.rs",
        "system/Patient.write",
        "system/Patient.c",
        "system/*.cruds",
        "system/*.*",
        "patient/Patient.rs",
        "user/Patient.rs",
        "introspect",
        "system/Patient.rs system/Patient.d",
    ],
)
def test_r_bulk_037_a_back_end_gets_all_or_nothing(asked: str) -> None:
    assert for_backend(asked.split(), (*SERVICE, "patient/*.rs", "openid", "launch")) is None


@pytest.mark.parametrize(
    ("asked", "by", "is_covered"),
    [
        ("patient/*.rs", "patient/*.rs", True),
        ("patient/Patient.r", "patient/*.rs", True),
        ("patient/Patient.rs", "patient/Patient.r patient/*.s", True),
        ("patient/Patient.cruds", "patient/*.rs", False),
        ("patient/*.rs", "patient/Patient.rs", False),
        ("user/Patient.r", "patient/*.rs", False),
        ("openid", "openid", True),
        ("openid", "patient/*.rs", False),
        ("nonsense", "patient/*.rs", False),
    ],
)
def test_r_smart_039_what_goes_beyond_is_not_covered(asked: str, by: str, *, is_covered: bool) -> None:
    assert covered(asked, by.split()) is is_covered


CONTEXTS, TYPES = ("patient", "user", "system"), ("*", "Patient", "Observation", "AuditEvent", "Nonsense")
SUFFIXES = ("rs", "cruds", "r", "s", "cu", "d", "read", "write", "*", "dus", "")
SCOPES = st.builds("{}/{}.{}".format, st.sampled_from(CONTEXTS), st.sampled_from(TYPES), st.sampled_from(SUFFIXES))


@given(asked=st.lists(SCOPES, max_size=4), registered=st.lists(SCOPES, max_size=4))
def test_r_smart_032_a_grant_lets_nobody_do_what_request_or_registration_does_not(
    asked: list[str], registered: list[str]
) -> None:
    """Judged letter by letter and type by type, by what `smart.scopes` says that a scope means."""
    for granted in (for_person(asked, registered), for_backend(asked, registered) or ()):
        for context in CONTEXTS:
            for type in TYPES[1:]:
                for letter in "cruds":
                    if allows(granted, context, letter, type):
                        assert allows(asked, context, letter, type)
                        assert allows(registered, context, letter, type)


def allows(scopes: list[str] | tuple[str, ...], context: str, letter: str, type: str) -> bool:
    mine = [scope for text in scopes if (scope := parse(text)) and scope.context == context]
    return any(scope.covers(letter, type) for scope in mine)
