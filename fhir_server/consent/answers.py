"""What was answered on a form: every question that had to be, nothing that was not asked, nothing by silence.

GDPR Art. 4(11), 7; requirements S38, T93; https://hl7.org/fhir/R4/questionnaireresponse.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from fhir_server.consent.form import UNDERSTOOD, Form, Question
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.kernel.json import Json

Value: TypeAlias = bool | int | str
Answers: TypeAlias = Mapping[str, tuple[Value, ...]]

_PLACE = "QuestionnaireResponse.item"
_MOST_MONTHS = 120


@dataclass(frozen=True, slots=True)
class Decision:
    """One question's answer, with what was said on how; `months` from the signature on."""

    question: Question
    granted: bool
    channels: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    anonymisation: str | None = None
    months: int | None = None


def answered(form: Form, response: Json) -> Answers:
    """By link, as the form's types read them. 422 with every fault."""
    found: dict[str, tuple[Value, ...]] = {}
    issues: list[Issue] = []
    items = response.get("item", [])
    for place, item in enumerate(items if isinstance(items, list) else []):
        link = item.get("linkId") if isinstance(item, dict) else None
        asked = form.items.get(str(link))
        if asked is None or asked["type"] == "display" or link in found:
            issues.append(Issue("invalid", "The form asks nothing here, or once only.", f"{_PLACE}[{place}]"))
            continue
        values = tuple(_values(asked, item))
        if None in values or not values or (len(values) > 1 and not asked.get("repeats")):
            issues.append(Issue("invalid", "This is no answer to the question.", f"{_PLACE}[{place}].answer"))
            continue
        found[str(link)] = tuple(value for value in values if value is not None)
    issues.extend(_missing(form, found) if not issues else [])
    if issues:
        raise UnprocessableError(issues=issues[:50])
    return found


def decisions(form: Form, answers: Answers) -> tuple[Decision, ...]:
    return tuple(_decision(question, answers) for question in form.questions)


def _decision(question: Question, answers: Answers) -> Decision:
    def texts(name: str) -> tuple[str, ...]:
        return tuple(str(value) for value in answers.get(f"{question.link}.{name}", ()))

    months = answers.get(f"{question.link}.months")
    return Decision(
        question,
        granted=answers[question.link] == (True,),
        channels=(question.channel,) if question.channel else texts("channel"),
        uses=texts("use"),
        anonymisation=next(iter(texts("anonymisation")), None),
        months=int(months[0]) if months else None,
    )


def _missing(form: Form, found: Answers) -> Iterator[Issue]:
    """Silence is no answer; and what hangs on a question is answered where that was."""
    for link, item in form.items.items():
        if item["type"] == "display":
            continue
        asked = all(found.get(when["question"]) == (when["answerBoolean"],) for when in item.get("enableWhen", []))
        if asked and link not in found:
            yield Issue("required", f"The question {link} has no answer.", _PLACE)
        if not asked and link in found:
            yield Issue("invalid", f"The question {link} was not to be answered.", _PLACE)
    if found.get(UNDERSTOOD) == (False,):
        yield Issue("invalid", "Without understanding there is no consent.", _PLACE)


def _values(asked: Json, item: Json) -> Iterator[Value | None]:
    answers = item.get("answer", [])
    for answer in answers if isinstance(answers, list) else []:
        yield _value(asked, answer if isinstance(answer, dict) else {})


def _value(asked: Json, answer: Json) -> Value | None:
    match asked["type"]:
        case "boolean":
            value = answer.get("valueBoolean")
            return value if isinstance(value, bool) else None
        case "integer":
            number = answer.get("valueInteger")
            if not isinstance(number, int | Decimal) or isinstance(number, bool) or number != int(number):
                return None
            return int(number) if 1 <= number <= _MOST_MONTHS else None
        case _:
            coding = answer.get("valueCoding")
            code = coding.get("code") if isinstance(coding, dict) else None
            options = {option["valueCoding"]["code"] for option in asked["answerOption"]}
            return code if isinstance(code, str) and code in options else None
