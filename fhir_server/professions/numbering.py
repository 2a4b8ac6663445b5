"""Step: a number that a body gives has that body's form, where the body's rules say that another one is refused.

Rows T5 to T7. What stood there before is not refused, nor what a migration brings: the record stays what it was.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import Issue, UnprocessableError
from fhir_server.professions.body import NUMBER, REFUSED, Bodies
from fhir_server.professions.membership import numbers_of


class Numbering(Step):
    def __init__(self, bodies: Bodies) -> None:
        self._refusing = [
            (body, rule) for body in bodies.values() for rule in body.of_kind(NUMBER) if rule.broken == REFUSED
        ]

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Practitioner" or change.resource is None or change.kept is not None:
            return change
        before = change.previous.resource if change.previous and not change.previous.deleted else {}
        issues = []
        for body, rule in self._refusing:
            known = {number for _, number in numbers_of(before, body)}
            for place, number in numbers_of(change.resource, body):
                if number not in known and not body.is_formed(number):
                    issues.append(Issue("business-rule", f"{rule.text} ({rule.id}; {rule.cited}.)", place))
        if issues:
            raise UnprocessableError(issues=issues)
        return change
