"""What ``shift.py`` measures, a part per module: jobs, the rows of each, and what all rows come to."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "planted"))

from shifts.bound import BOUND_PART
from shifts.corrections import CORRECTION_PART
from shifts.cost import COST_PART
from shifts.digits import DIGIT_PART
from shifts.kinds import KIND_PART, NUMBER_PART
from shifts.nulls import NULL_PART
from shifts.priors import PRIOR_PART
from shifts.real import REAL_PART

PARTS = {
    "nulls": NULL_PART,
    "digits": DIGIT_PART,
    "kinds": KIND_PART,
    "numbers": NUMBER_PART,
    "bound": BOUND_PART,
    "priors": PRIOR_PART,
    "corrections": CORRECTION_PART,
    "cost": COST_PART,
    "real": REAL_PART,
}
