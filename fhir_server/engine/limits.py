"""How much one search may cost before it is refused: a partial answer would look whole.

https://hl7.org/fhir/R4/search.html#errors; a client learns of it as `too-costly`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`candidates`: how many resources one search may open. `linked`: how many one step of a chain may lead through.

    `seconds`: how long it may take. `included`: how many resources may come with the matches of one page.
    """

    candidates: int = 2000
    linked: int = 1000
    seconds: float = 10.0
    included: int = 1000
