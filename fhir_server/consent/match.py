"""How surely a rule of a consent speaks of what is asked: no, perhaps, yes.

A permission must be understood to the last element and counts on YES only; a refusal counts unless it surely speaks of
something else. So every doubt ends on the side of the patient. Restrictions of one rule join with min, the
alternatives inside one restriction with max.
"""

from enum import IntEnum


class Match(IntEnum):
    NO = 0
    UNSURE = 1
    YES = 2
