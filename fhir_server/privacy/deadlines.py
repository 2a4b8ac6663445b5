"""Step: every open request bears the last day to answer it, and what the clock goes by is the server's own.

GDPR Art. 12(3), row S54. A client may write the Task itself; when it was extended, and what was asked back, it says by
`$rights-step` alone.
"""

from datetime import UTC, tzinfo

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.privacy.clocks import Rules
from fhir_server.privacy.rights import begun, request_of, state_of, timed

OPERATIONS = frozenset({"rights-request", "rights-step", "fulfil"})
"""Of the API: what they write into a request is the server's."""
_ENDS = OPERATIONS | {"erase"}
"""Those by which a request that they handle is ended."""


class Deadlines(Step):
    """`zone`: where a day begins."""

    def __init__(self, rules: Rules, zone: tzinfo = UTC) -> None:
        self._rules, self._zone = rules, zone

    async def prepare(self, call: Call, change: Change) -> Change:
        if change.key.type != "Task" or change.resource is None:
            return change
        before = change.previous.resource if change.previous and not change.previous.deleted else {}
        is_own = call.operation in OPERATIONS
        if not is_own and state_of(change.resource) != state_of(before):
            raise UnprocessableError(
                "What a request's clock goes by is written by $rights-request, $rights-step and $fulfil.",
                expression="Task.input",
            )
        request, was = request_of(change.resource), request_of(before)
        if state_of(before) and was and (not request or (was.right, was.patient) != (request.right, request.patient)):
            raise UnprocessableError("A request stays what it is, and whose.", expression="Task")
        if state_of(before) and call.operation not in _ENDS and before["status"] != change.resource["status"]:
            raise UnprocessableError("A request is ended by $fulfil, or by $rights-step.", expression="Task.status")
        if request is None:
            return change
        received = begun(before) or call.instant.astimezone(self._zone).date()
        return change.with_resource(timed(request, self._rules, received))
