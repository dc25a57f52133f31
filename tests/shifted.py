"""A diagnosis of shift written by hand: channels, stretches and classes that moved, and tests that found it."""

from dataclasses import replace
from typing import Any

import numpy as np

from throughtime.findings import Finding
from throughtime.records import Records
from throughtime.shift import (
    ChannelShift,
    ClassShift,
    Embedding,
    Reference,
    ShiftDiagnosis,
    ShiftTest,
    StretchShift,
)

NAMES = ("rain mean", "rain sd", "heat mean", "heat sd", "length")


def embedding(n: int, moved: float, seed: int) -> Embedding:
    """Series whose mean of rain is ``moved``, all else alike."""
    rng = np.random.default_rng(seed)
    summaries = rng.normal(size=(n, len(NAMES)))
    summaries[:, 0] += moved
    return Embedding(
        summaries=summaries,
        summary_names=NAMES,
        outputs=rng.normal(size=(n, 2)),
        states=rng.normal(size=(n, 3)),
        member=np.arange(n) % 2,
        target=np.arange(n) % 2,
    )


def shift_test(name: str, p_value: float, effect: float, unit: str) -> ShiftTest:
    return ShiftTest(
        name=name,
        statistic=3.1,
        p_value=p_value,
        effect=effect,
        low=effect - 0.2,
        high=effect + 0.2,
        effect_unit=unit,
        detectable=0.31,
        unit="series",
        n_reference=80,
        n_deployed=60,
        permutations=199,
    )


def finding(code: str, title: str, verdict: Any, detail: str, remedy: str = "") -> Finding:
    return Finding(code, title, verdict, "warning", 0.005, 0.05, "Holm (1979)", detail, remedy)


TESTS = Records(
    [
        shift_test("X", 0.005, 1.2, "sd"),
        shift_test("Y", 0.41, 0.05, "Cramer's V"),
        shift_test("Y given X", 0.72, float("nan"), ""),
        shift_test("X given Y", 0.005, 1.1, "sd"),
    ]
)
CHANNELS = Records(
    [
        ChannelShift("rain", "mean", 1.2, 1.0, 1.4, 0.005),
        ChannelShift("heat", "mean", -0.3, -0.5, -0.1, 0.06),
        ChannelShift("", "length", 0.05, -0.1, 0.2, 0.9),
    ]
)
STRETCHES = Records(
    [
        StretchShift(0.75, 1.0, "rain", 1.6, 0.005),
        StretchShift(0.5, 0.75, "rain", 1.1, 0.01),
        StretchShift(0.0, 0.25, "heat", -0.2, 0.6),
        StretchShift(0.25, 0.5, "rain", 0.3, 0.3),
        StretchShift(0.75, 1.0, "heat", 0.4, 0.2),
    ]
)
CLASSES = Records(
    [ClassShift("ebb", 0.5, 0.62, 0.5, 0.74, "labels"), ClassShift("flow", 0.5, 0.38, 0.26, 0.5, "labels")]
)
SHIFT = ShiftDiagnosis(
    verdict="covariate",
    sentence="The series differ, most in the mean of rain; what they mean for the target does not.",
    findings=Records(
        [
            finding("SHF003", "inputs moved", "found", "X moved by 1.2 sd", "train on series like them"),
            finding("SHF004", "targets moved", "clear", "p .41"),
            finding("SHF001", "too few series", "not applicable", "there are 60"),
        ]
    ),
    tests=TESTS,
    channels=CHANNELS,
    stretches=STRETCHES,
    classes=CLASSES,
    labeled=True,
    level=0.05,
    reference=Reference(embedding(80, 0.0, 0), (), np.array(["ebb", "flow"]), ("rain", "heat")),
    deployed=embedding(60, 1.2, 1),
)
NO_SHIFT = replace(
    SHIFT,
    verdict="none detected",
    sentence="No difference was found; of the mean of a channel .31 sd would have been.",
    channels=Records(),
    stretches=Records(),
    classes=Records(),
)
