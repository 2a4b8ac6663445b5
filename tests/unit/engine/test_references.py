"""In a transaction a urn stands for what has no id yet, wherever a link may stand; and nowhere else."""

from typing import Any

import pytest

from fhir_server.engine.references import rewrite

URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
OTHER = "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059"
KNOWN = {URN: "Patient/7"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"subject": {"reference": URN}}, {"subject": {"reference": "Patient/7"}}),
        ({"entry": [{"item": [{"reference": URN}]}]}, {"entry": [{"item": [{"reference": "Patient/7"}]}]}),
        (
            {"contained": [{"resourceType": "Observation", "subject": {"reference": URN}}]},
            {"contained": [{"resourceType": "Observation", "subject": {"reference": "Patient/7"}}]},
        ),
        (
            {"extension": [{"url": "http://x", "valueReference": {"reference": URN}}]},
            {"extension": [{"url": "http://x", "valueReference": {"reference": "Patient/7"}}]},
        ),
        (
            {"_birthDate": {"extension": [{"valueUri": URN}]}},
            {"_birthDate": {"extension": [{"valueUri": "Patient/7"}]}},
        ),
        ({"content": {"url": URN}}, {"content": {"url": "Patient/7"}}),
        ({"subject": {"reference": OTHER}}, {"subject": {"reference": OTHER}}),
        ({"subject": {"reference": "urn:oid:1.2.3"}}, {"subject": {"reference": "urn:oid:1.2.3"}}),
        ({"system": "urn:ietf:rfc:3986"}, {"system": "urn:ietf:rfc:3986"}),
    ],
)
def test_r_fhir_021_a_link_is_rewritten_wherever_it_stands(before: Any, after: Any) -> None:
    assert rewrite(before, KNOWN) == after


def test_r_fhir_021_links_in_narrative_are_rewritten_and_its_text_stays() -> None:
    links = f'<a href="{URN}">A</a><img src="{URN}"/><a href="{OTHER}">B</a>'
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{links}</div>'

    found = rewrite({"text": {"div": div}}, KNOWN)["text"]["div"]

    assert found == div.replace(URN, "Patient/7")


def test_r_fhir_021_what_only_begins_like_a_known_urn_is_another() -> None:
    longer = f"{URN}0"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{longer}">A</a></div>'

    assert rewrite({"reference": longer, "div": div}, KNOWN) == {"reference": longer, "div": div}


def test_r_fhir_021_the_text_of_an_identifier_is_no_link() -> None:
    """http.html#trules names the elements that are links; an identifier's value is content."""
    identifier = {"identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}]}

    assert rewrite(identifier, KNOWN) == identifier


def test_r_fhir_021_free_text_is_no_link() -> None:
    assert rewrite({"note": [{"text": URN}], "description": URN}, KNOWN) == {
        "note": [{"text": URN}],
        "description": URN,
    }


def test_the_original_is_not_changed() -> None:
    before = {"subject": {"reference": URN}, "list": [URN]}

    rewrite(before, KNOWN)

    assert before == {"subject": {"reference": URN}, "list": [URN]}


def test_values_that_are_no_text_pass() -> None:
    assert rewrite([1, None, True, {"a": 1.5}], KNOWN) == [1, None, True, {"a": 1.5}]
