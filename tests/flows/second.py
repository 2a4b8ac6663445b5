"""A second server, a process of its own, on the database of a clinic that runs inside the tests' process."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clinics import InProcess
from tests.flows.killable import COMMAND, free_port


@contextmanager
def second(clinic: InProcess) -> Iterator[int]:
    """Its port. It knows the same tokens, for it has the same issuer and the same root key."""
    settings, port = clinic.clinic.settings, free_port()
    own = {
        "MONGO_URI": settings.mongo_uri,
        "DATABASE": settings.database,
        "DATA_DIR": str(settings.data_dir),
        "BASE_URL": settings.base_url,
        "PORT": str(port),
        "LOG_LEVEL": "error",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_SERVER_")}
    environment = {**inherited, **{f"FHIR_SERVER_{name}": value for name, value in own.items()}}
    server = subprocess.Popen(
        [COMMAND, "serve"], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout is not None
    try:
        assert server.stdout.readline().startswith("ready "), "the server did not start"
        yield port
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        server.stdout.close()
