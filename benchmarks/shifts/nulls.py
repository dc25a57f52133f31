"""False alarms: references and deployed series of one law, at three autocorrelations, with 1 or 20 channels."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from shift_cases import NULLS, case
from shift_references import embedded, reference_for

from peers.shift_tests import steps_p_value
from shifts.kinds import LEVEL, TESTS, seeds
from shifts.part import Part, Row, below, fraction
from throughtime.shift import (
    classifier_two_sample_test,
    covariate_test,
    diagnose_shift,
    mean_shift_test,
    mmd_test,
    output_test,
    predicted_class_test,
)
from throughtime.shift.embedding import take

#: Seeds of each: 504 nulls in all.
SEEDS = 84
#: What `predict` looks at, and its level.
FEW, STRICT = 20, 0.01
SINGLE: dict[str, Any] = {
    "means": mean_shift_test,
    "mmd": mmd_test,
    "classifier": classifier_two_sample_test,
    "predicted classes": predicted_class_test,
    "outputs": output_test,
}


def jobs(which: str, rounds: int | None) -> list[tuple[int, int, int]]:
    some = [seeds(which, None)[0] + number for number in range(rounds or SEEDS)]
    return [(int(100 * phi), channels, seed) for seed in some for phi, channels in NULLS]


def measure(percent: int, channels: int, seed: int) -> list[dict[str, Any]]:
    phi = percent / 100
    reference = reference_for(seed, "classes", phi, channels)
    one = case("none", seed, phi=phi, channels=channels)
    deployed = embedded(reference, one.deployed, seed)
    found = diagnose_shift(reference, deployed, random_state=seed)
    p = {test.name: test.p_value for test in found.tests}
    p |= {name: test(reference.embedding, deployed, random_state=seed).p_value for name, test in SINGLE.items()}
    few = take(deployed, np.arange(FEW))
    p["20 series"] = covariate_test(reference.embedding, few, random_state=seed).p_value
    p["steps"] = steps_p_value(one.reference.series, one.deployed.series)
    columns = (*TESTS, *SINGLE, "20 series", "steps")
    return [{"verdict": found.verdict} | {name: f"{p[name]:.4g}" if name in p else "" for name in columns}]


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Per setting and test: the fraction of p-values at most .05, and of cases where a shift is named."""
    parts: list[tuple[str, str, Sequence[Row]]] = [
        (str(phi), str(channels), [row for row in rows if (int(row["percent"]), int(row["channels"])) == key])
        for phi, channels in NULLS
        for key in [(int(100 * phi), channels)]
    ]
    for phi, channels, own in [*parts, ("all", "all", rows)]:
        base = {"autoregression": phi, "channels": channels}
        named = sum(row["verdict"] not in ("none detected", "insufficient") for row in own)
        yield base | {"test": "any name", "level": LEVEL, "cases": len(own)} | fraction(named, len(own))
        for test in (*TESTS, *SINGLE, "20 series", "steps"):
            count, of = below(own, test, LEVEL)
            yield base | {"test": test, "level": LEVEL, "cases": of} | fraction(count, of)
        count, of = below(own, "20 series", STRICT)
        yield base | {"test": "20 series", "level": STRICT, "cases": of} | fraction(count, of)


NULL_PART = Part(("percent", "channels", "seed"), jobs, measure, summary)
