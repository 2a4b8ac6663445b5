"""A narrative that the server writes: what the elements say, well formed whatever they hold, never over a client's."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.narration import OPENING, with_narrative
from fhir_server.fhir.narrative import narrative_faults
from fhir_server.fhir.scope import Scope
from fhir_server.kernel.json import Json

SCOPE = Scope.of({})


def told(**elements: Any) -> list[str]:
    div = with_narrative({"resourceType": "Observation", **elements})["text"]["div"]
    assert narrative_faults(div, {}, SCOPE) is None
    assert div.startswith(OPENING)
    return str(div.removeprefix(OPENING).removesuffix("</div>")).split("<br/>")


def test_each_element_is_told_by_its_name() -> None:
    found = told(
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body height"}]},
        subject={"reference": "Patient/7"},
        effectivePeriod={"start": "2026-01-05", "end": "2026-01-06"},
        valueQuantity={"value": Decimal("172.50"), "unit": "cm", "comparator": "<"},
        note=[{"text": "before & after"}, {"text": "<b>twice</b>"}],
        component=[{"code": {"text": "left"}, "valueBoolean": True}],
    )

    assert found == [
        "<b>Observation</b>",
        "Status: final",
        "Code: Body height",
        "Subject: Patient/7",
        "Effective period: 2026-01-05 \u2013 2026-01-06",
        "Value quantity: &lt; 172.50 cm",
        "Note: before &amp; after, &lt;b&gt;twice&lt;/b&gt;",
        "Component: Code: left; Value boolean: yes",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"family": "Lef\u00e8vre", "given": ["Camille", "Ana"], "prefix": ["Dr."]}], "Dr. Camille, Ana Lef\u00e8vre"),
        ([{"line": ["1 High St"], "city": "Leeds", "postalCode": "LS1"}], "1 High St LS1 Leeds"),
        ({"coding": [{"system": "urn:x", "code": "y"}]}, "y"),
        ({"text": "in words", "coding": [{"code": "y"}]}, "in words"),
        ({"start": "2026"}, "2026 \u2013 "),
        ({"display": "Dr. Who", "reference": "Practitioner/1"}, "Dr. Who"),
        ("x" * 300, "x" * 200 + "\u2026"),
        (list("abcdefghijklm"), "a, b, c, d, e \u2026"),
        (False, "no"),
        (7, "7"),
    ],
)
def test_common_types_are_told_as_people_read_them(value: object, said: str) -> None:
    assert told(element=value) == ["<b>Observation</b>", f"Element: {said}"]


@pytest.mark.parametrize(
    "hidden",
    [
        {"id": "x"},
        {"meta": {"versionId": "1"}},
        {"contained": [{"resourceType": "Patient", "name": [{"text": "x"}]}]},
        {"extension": [{"url": "urn:x", "valueString": "x"}]},
        {"photo": [{"data": "aGk="}]},
        {"content": {"contentType": "image/png", "data": "aGk=", "url": "Binary/1", "size": 2, "hash": "x"}},
        {"identifier": [{"value": "secret"}]},
        {"_status": {"extension": []}},
        {"element": {}},
        {"element": [{}]},
        {"element": {"a": {"b": {"c": {"text": {"d": {"e": "x"}}}}}}},
    ],
)
def test_what_is_no_content_is_not_told(hidden: Json) -> None:
    assert told(**hidden) == ["<b>Observation</b>"]


def test_much_is_cut_off_and_says_so() -> None:
    found = told(**{f"note{number}": "x" * 190 for number in range(100)})

    assert found[-1] == "\u2026"
    assert len("".join(found)) < 2_100


@pytest.mark.parametrize(
    "text",
    [
        {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">by an app</div>'},
        {"status": "additional", "div": f"{OPENING}changed by hand</div>"},
        {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">none</div>'},
    ],
)
def test_a_clients_own_text_is_left_alone(text: Json) -> None:
    resource = {"resourceType": "Observation", "status": "final", "text": text}

    assert with_narrative(resource) is resource


def test_one_that_the_server_wrote_is_written_anew() -> None:
    first = with_narrative({"resourceType": "Observation", "status": "preliminary"})

    second = with_narrative({**first, "status": "final"})

    assert "Status: final" in second["text"]["div"]
    assert "preliminary" not in second["text"]["div"]


values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.text(max_size=20), st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["text", "display", "coding", "value", "unit", "family", "start", "code", "city", "b"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["status", "code", "valueString", "name", "note"]), values, max_size=5))
def test_it_is_well_formed_whatever_the_elements_hold(elements: dict[str, Any]) -> None:
    told(**elements)
