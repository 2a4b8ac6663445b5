"""What the pages work with: the services of one clinic, as the composition root wired them."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock
from fhir_server.media.sharing import Sharing
from fhir_server.privacy.desk import Desk
from fhir_server.smart.approval import Authorizations
from fhir_server.smart.signin.attempts import Attempts
from fhir_server.smart.signin.door import Door


@dataclass(frozen=True, slots=True)
class Shares:
    """Photos that were shared, and how often a code for one may be tried."""

    sharing: Sharing
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class Surface:
    """`authorizations` is None where no client can ask for anything; people still have pages of their own.

    `desk` is None where nobody signs or withdraws by a page, `shares` where no
    photo is shared. `base` is the external FHIR base, `root` the path under
    which clients know the server (empty at a host's top).
    """

    door: Door
    engine: Engine
    authorizations: Authorizations | None
    clock: Clock
    base_url: str
    base: str
    clinic_name: str
    desk: Desk | None = None
    shares: Shares | None = None
    root: str = field(init=False)
    origin: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        object.__setattr__(self, "root", parts.path.rstrip("/"))
        object.__setattr__(self, "origin", f"{parts.scheme}://{parts.netloc}")

    @property
    def secure(self) -> bool:
        return self.base_url.startswith("https:")
