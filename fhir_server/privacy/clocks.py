"""By when a request has to be answered: the legal clock of a jurisdiction, as data, and the day that it shows; pure.

GDPR Art. 12(3); UK GDPR Art. 12A; row S54. A day is the clinic's own. A weekend at its end does not lengthen a period:
the earlier day is safe under every law.
"""

import calendar
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

IDENTITY, CLARIFICATION = "identity", "clarification"
"""What may be asked back: who somebody is; what exactly they want."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`months` to answer, `longer` where it is extended. `begins`: questions with whose answer alone the period begins.

    `stops`: questions during which it stands still. `vectors`: cases with what must come out, for the tests.
    """

    months: int
    longer: int
    begins: frozenset[str]
    stops: frozenset[str]
    source: str
    vectors: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Asked back of whoever made the request; `answered` is None while no answer came."""

    about: str
    asked: date
    answered: date | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What happened to a request so far, as far as the clock is concerned."""

    received: date
    questions: tuple[Question, ...] = ()
    extended: bool = False


def due(course: Course, rules: Rules) -> date | None:
    """The last day; None while the clock stands still, or has not begun."""
    return _last_day(course, rules, rules.months + (rules.longer if course.extended else 0))


def extendable_until(course: Course, rules: Rules) -> date | None:
    """The last day on which an extension may be told, with its reasons: the end of the first period."""
    return _last_day(course, rules, rules.months)


def months_later(day: date, months: int) -> date:
    """The same day of that month; its last day where it is too short (31 January: 28 or 29 February)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _last_day(course: Course, rules: Rules, months: int) -> date | None:
    begin = _begin(course, rules)
    pauses = [question for question in course.questions if question.about in rules.stops]
    if begin is None or any(pause.answered is None for pause in pauses):
        return None
    # The day on which a period begins is not counted (Regulation (EEC, Euratom) 1182/71 Art. 3(1)).
    last = months_later(begin, months)
    for start, end in _joined(pauses, begin + timedelta(days=1)):
        if start > last:
            break
        last += end - start
    return last


def _begin(course: Course, rules: Rules) -> date | None:
    """The request, or the last answer without which the period does not begin."""
    found = course.received
    for question in course.questions:
        if question.about in rules.begins:
            if question.answered is None:
                return None
            found = max(found, question.answered)
    return found


def _joined(pauses: Collection[Question], first: date) -> Sequence[tuple[date, date]]:
    """Apart from each other, in order, none before the first day that counts; the day of an answer counts again."""
    found: list[tuple[date, date]] = []
    for start, end in sorted((max(each.asked, first), each.answered or each.asked) for each in pauses):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


@cache
def rules_of(jurisdiction: str) -> Rules:
    """Raises FileNotFoundError for a jurisdiction that has none."""
    text = files("fhir_server.privacy").joinpath("packs", f"{jurisdiction}.toml").read_text(encoding="utf-8")
    said = tomllib.loads(text)
    return understood(said["clock"], said.get("clock_vectors", ()))


def understood(told: Mapping[str, Any], vectors: Sequence[Mapping[str, Any]] = ()) -> Rules:
    """Raises ValueError for a member or a question that is misspelt: it would silently lengthen a period."""
    strangers = told.keys() - {"months", "longer", "begins", "stops", "source", "verified"}
    unknown = {*told["begins"], *told["stops"]} - {IDENTITY, CLARIFICATION}
    if strangers or unknown:
        raise ValueError(f"A clock does not know {sorted(strangers | unknown)}.")
    begins, stops = frozenset(told["begins"]), frozenset(told["stops"])
    return Rules(told["months"], told["longer"], begins, stops, told["source"], tuple(vectors))
