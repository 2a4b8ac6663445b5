"""An operator's command, recorded like any other access.

sealed-storage section 6: administrative commands are logged too.
"""

from fhir_server.clinic import Clinic
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.pipeline import Result
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import parse_reference, random_id

OPERATOR = "fhir-server-cli"


async def record(
    clinic: Clinic,
    command: str,
    holder: Principal | None = None,
    about: str | None = None,
    failure: FhirError | None = None,
) -> None:
    """Durable when it returns. `holder` is who a command acts for, where it is not the operator.

    `about` is the reference of a resource that stands for whom it concerns. `failure`: it was refused.
    """
    principal = holder or Principal(OPERATOR, OPERATOR, clinic.settings.base_url, "")
    now = clinic.surface.clock.now()
    key = parse_reference(about) if about else None
    call = Call(
        Interaction.OPERATION,
        principal,
        now,
        type=key.type if key else None,
        id=key.id if key else None,
        operation=command,
        request_id=random_id(),
    )
    await clinic.engine.steps.conclude(call, Result(failure=failure))
