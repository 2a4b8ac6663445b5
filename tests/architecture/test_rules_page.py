"""docs/rules.md names every scheme of national numbers that ids are held against, and no other."""

from fhir_server.kernel.national_numbers import SCHEMES
from tests.architecture.files import ROOT


def test_every_scheme_is_on_the_page() -> None:
    page = (ROOT / "docs/rules.md").read_text()
    listed = [
        line.removeprefix("- ") for line in page.partition("The schemes")[2].splitlines() if line.startswith("- ")
    ]

    assert listed[: len(SCHEMES)] == [scheme.name for scheme in SCHEMES]
