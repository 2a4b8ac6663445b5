"""Requests for a right, as a clinic gets them: opened at the desk, handled and carried out by the privacy officer."""

from datetime import date, timedelta
from typing import Any

from httpx2 import Response

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.people import Case, of_patient, staff


def given(**values: Any) -> Json:
    """Parameters: by the type of a value its `value[x]`; of a list one parameter each."""
    named = [(name, one) for name, value in values.items() for one in (value if isinstance(value, list) else [value])]
    return {"resourceType": "Parameters", "parameter": [_parameter(name, value) for name, value in named]}


def _parameter(name: str, value: Any) -> Json:
    if isinstance(value, bool):
        return {"name": name, "valueBoolean": value}
    if isinstance(value, date):
        return {"name": name, "valueDate": value.isoformat()}
    if "/" in value:
        return {"name": name, "valueReference": {"reference": value}}
    kind = "valueString" if name in {"reason", "because", "archive"} else "valueCode"
    return {"name": name, kind: value}


class Desk:
    """A patient of `case`, the desk that writes down what they ask for, the officer who answers."""

    def __init__(self, clinic: InProcess, case: Case) -> None:
        self.clinic, self.case = clinic, case
        self.reception: Caller = staff(clinic, "receptionist")
        self.officer: Caller = staff(clinic, "privacy-officer")
        self.owner: Caller = of_patient(clinic, case.patient)

    @property
    def today(self) -> date:
        return self.case.now.date()

    async def ask(self, right: str, who: Caller | None = None, **more: Any) -> Response:
        path = f"/fhir/Patient/{self.case.patient}/$rights-request"
        return await (who or self.reception).post(path, given(**{"right": right, "channel": "phone", **more}))

    async def opened(self, right: str, who: Caller | None = None, **more: Any) -> str:
        """The path of the Task. Who asks is known."""
        answer = await self.ask(right, who or self.owner, **more)
        assert answer.status_code == 201, answer.text
        return f"/fhir/{one(answer, 'request')['reference']}"

    async def step(self, task: str, step: str, **more: Any) -> Response:
        return await self.officer.post(f"{task}/$rights-step", given(step=step, **more))

    async def fulfil(self, task: str, **more: Any) -> Response:
        return await self.officer.post(f"{task}/$fulfil", given(**{"dryRun": False, **more}))

    async def done(self, task: str, **more: Any) -> Response:
        answer = await self.fulfil(task, **more)
        assert answer.status_code == 200, answer.text
        return answer

    def ago(self, days: int) -> date:
        return self.today - timedelta(days=days)


def one(answer: Response, name: str) -> Any:
    """The value of the one parameter of that name."""
    [found] = every(answer, name)
    return found


def every(answer: Response, name: str) -> list[Any]:
    named = [each for each in read(answer)["parameter"] if each["name"] == name]
    return [next(value for key, value in each.items() if key != "name") for each in named]
