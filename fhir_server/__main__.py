"""`python -m fhir_server`: the same as the command `fhir-server`."""

import sys

from fhir_server.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
