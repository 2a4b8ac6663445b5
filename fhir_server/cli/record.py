"""An operator's command, recorded like any other access.

sealed-storage section 6: administrative commands are logged too.
"""

from fhir_server.app import Clinic
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.pipeline import Result
from fhir_server.kernel.identity import random_id

OPERATOR = "fhir-server-cli"


async def record(clinic: Clinic, command: str, holder: Principal | None = None) -> None:
    """Durable when it returns. `holder` is who a command acts for, where it is not the operator."""
    principal = holder or Principal(OPERATOR, OPERATOR, clinic.settings.base_url, "")
    now = clinic.surface.clock.now()
    call = Call(Interaction.OPERATION, principal, now, operation=command, request_id=random_id())
    await clinic.engine.steps.conclude(call, Result())
