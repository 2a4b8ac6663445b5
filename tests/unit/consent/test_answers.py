"""What was answered on a form, question by question: nothing by silence, nothing that was not asked, nothing twice."""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.consent.answers import Answers, answered, decisions
from fhir_server.consent.form import forms
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from tests.flows.signings import CARE, COMMUNICATIONS, MARKETING, response


def read(code: str, answers: dict[str, Any], **more: Any) -> Answers:
    return answered(forms()[code, "en"], {**response(code, "en", {**answers, "understood": True}), **more})


def faults(code: str, answers: dict[str, Any], **more: Any) -> list[str]:
    with pytest.raises(UnprocessableError) as refused:
        read(code, answers, **more)
    return [one.diagnostics for one in refused.value.issues]


def test_t_37_what_is_agreed_to_is_granted_and_what_is_not_is_refused() -> None:
    given = read("care", {"treatment": True, "care-photography": False})

    said = {one.question.purpose: one.granted for one in decisions(forms()["care", "en"], given)}

    assert said == {"treatment": True, "care-photography": False}


def test_t_83_t_84_how_and_where_is_told_with_the_decision() -> None:
    found = {one.question.purpose: one for one in decisions(forms()["marketing", "en"], read("marketing", MARKETING))}

    granted = [one for one in found.values() if one.granted]
    assert granted
    for one in granted:
        link = one.question.link
        assert one.channels == _several(MARKETING[f"{link}.channel"])
        assert one.uses == _several(MARKETING[f"{link}.use"])
        assert one.anonymisation == _several(MARKETING[f"{link}.anonymisation"])[0]
        assert one.months == MARKETING[f"{link}.months"]
    for one in found.values():
        if not one.granted:
            assert (one.channels, one.uses, one.anonymisation, one.months) == ((), (), None, None)


def _several(said: object) -> tuple[object, ...]:
    return said if isinstance(said, tuple) else (said,)


def test_a_message_is_for_the_channel_that_was_asked_about() -> None:
    given = read("communications", COMMUNICATIONS)

    for one in decisions(forms()["communications", "en"], given):
        assert one.channels == (one.question.channel,)


def test_s_38_silence_is_no_answer() -> None:
    assert faults("care", {"treatment": True}) == ["The question care-photography has no answer."]
    assert set(faults("care", {}, item="nothing")) == {
        f"The question {link} has no answer." for link in ("treatment", "care-photography", "understood")
    }


def test_t_93_without_understanding_there_is_no_consent() -> None:
    filled = response("care", "en", {**CARE, "understood": False})

    assert faults("care", CARE, item=filled["item"]) == ["Without understanding there is no consent."]


def item(link: object, *values: Json) -> Json:
    return {"linkId": link, "answer": list(values)}


YES: Json = {"valueBoolean": True}
WRONG = "This is no answer to the question."
NOT_ASKED = "The form asks nothing here, or once only."


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (item("treatment"), WRONG),
        (item("treatment", YES, YES), WRONG),
        (item("treatment", {"valueBoolean": "true"}), WRONG),
        (item("treatment", {"valueString": "yes"}), WRONG),
        (item("treatment", YES, {"valueString": "yes"}), WRONG),
        ({"linkId": "treatment", "answer": "yes"}, WRONG),
        ({"linkId": "treatment", "answer": ["yes"]}, WRONG),
        ({"linkId": "treatment"}, WRONG),
        (item("nothing", YES), NOT_ASKED),
        (item("notice-1", YES), NOT_ASKED),
        ("treatment", NOT_ASKED),
    ],
)
def test_what_is_no_answer_is_told_at_its_place(one: object, fault: str) -> None:
    items = [item("care-photography", YES), one, item("understood", YES)]

    with pytest.raises(UnprocessableError) as refused:
        answered(forms()["care", "en"], {"item": items})

    place = "QuestionnaireResponse.item[1]"
    [issue] = refused.value.issues
    assert (issue.diagnostics, issue.expression) == (fault, f"{place}.answer" if fault is WRONG else place)


def test_nothing_is_answered_twice() -> None:
    items = [item("treatment", YES), item("treatment", {"valueBoolean": False})]

    with pytest.raises(UnprocessableError) as refused:
        answered(forms()["care", "en"], {"item": items})

    assert [one.expression for one in refused.value.issues] == ["QuestionnaireResponse.item[1]"]


def test_what_hangs_on_a_question_is_answered_with_it_and_not_without() -> None:
    link = "photo-marketing"
    less = {name: value for name, value in MARKETING.items() if name != f"{link}.use"}
    assert faults("marketing", {**less, link: True}) == [f"The question {link}.use has no answer."]

    bare = {name: value for name, value in MARKETING.items() if not name.startswith(f"{link}.")}
    refusing = {**bare, link: False, f"{link}.months": 12}
    assert faults("marketing", refusing) == [f"The question {link}.months was not to be answered."]
    assert f"{link}.months" not in read("marketing", {**bare, link: False})


@pytest.mark.parametrize(
    ("months", "read_as"), [(1, 1), (120, 120), (Decimal(6), 6), (0, None), (121, None), (True, None), (1.5, None)]
)
def test_s_77_months_are_whole_and_of_some_length(months: Any, read_as: int | None) -> None:
    link = "photo-marketing"
    filled = response("marketing", "en", {**MARKETING, link: True, "understood": True})
    for one in filled["item"]:
        if one["linkId"] == f"{link}.months":
            one["answer"] = [{"valueInteger": months}]

    if read_as is None:
        with pytest.raises(UnprocessableError):
            answered(forms()["marketing", "en"], filled)
    else:
        assert answered(forms()["marketing", "en"], filled)[f"{link}.months"] == (read_as,)


@pytest.mark.parametrize("coding", ["website", {"code": "everywhere"}, {"code": 7}, {}])
def test_a_choice_is_one_that_is_offered(coding: object) -> None:
    filled = response("marketing", "en", {**MARKETING, "photo-marketing": True, "understood": True})
    for one in filled["item"]:
        if one["linkId"] == "photo-marketing.anonymisation":
            one["answer"] = [{"valueCoding": coding}]

    with pytest.raises(UnprocessableError) as refused:
        answered(forms()["marketing", "en"], filled)

    assert [one.diagnostics for one in refused.value.issues] == [WRONG]


def test_no_more_than_fifty_faults_are_told() -> None:
    items = [item(f"nothing-{number}", YES) for number in range(60)]

    with pytest.raises(UnprocessableError) as refused:
        answered(forms()["care", "en"], {"item": items})

    assert len(refused.value.issues) == 50
