"""How many planted shifts a namer with the densities themselves gets right, which is not told the direction.

It knows the law, how large each part is, and the kinds; not which classes, channel, statistic or sign. Its likelihood
is that of the sides given all series together, which is all that two samples tell of a ratio: a logistic model of the
log ratio of densities with slope 1 and a free intercept.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from shift_cases import KINDS, SIZES, Drawn, Law, Shift, TargetForm, case, shift_of
from shift_cases import Part as Cause

from shifts.kinds import jobs_of
from shifts.part import Part, Row, fraction

STATISTICS = ("mean", "slope", "deviation")
PAIRS = ((0, 1), (1, 2), (2, 0))
#: What a concept shift of numbers may do.
CHANGES = {"numbers": ("turn", "bias"), "steps": ("bias",)}
#: Series that stand for the law where tilts are scaled.
POOL = 1000
#: Of nulls, the share that may have a name.
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Direction(Law):
    """A law whose shifts are about these classes, this statistic of this channel, and this change of a concept."""

    about: tuple[int, int] = (0, 1)
    channel: int = -1
    of_channel: str = "mean"
    change: str = "swap"

    @property
    def pair(self) -> tuple[int, int]:
        """The two classes that shifts are about."""
        return self.about

    @property
    def irrelevant(self) -> str:
        """The statistic that an irrelevant covariate shift tilts."""
        return self.of_channel

    @property
    def concept(self) -> str:
        """What concept shift does."""
        return self.change

    def statistic(self, part: Cause, drawn: Drawn) -> Float[ndarray, "series"]:
        """What is tilted."""
        if part == "irrelevant":
            drawn = replace(drawn, x=drawn.x[:, :, [self.channel]])
        return super().statistic(part, drawn)


class Directed(Shift):
    """A shift in one direction, its tilts scaled by series that are there already."""

    def __init__(self, law: Direction, parts: tuple[Cause, ...], pool: Drawn) -> None:
        self.law, self.parts, self._pool, self._scales = law, parts, pool, {}


@lru_cache(maxsize=1)
def pool_of(law: Law) -> Drawn:
    return law.draw(np.random.default_rng([law.seed, 5]), POOL)


@lru_cache(maxsize=4)
def concept_size(law: Law, change: str, n: int) -> float:
    """The oracle's, of one change of numbers."""
    own = Direction(law.form, law.seed, law.phi, law.channels, change=change)
    return Shift(own, ("concept",), shift_of("none", law, n).counts[0], n).oracle["concept"]


def directions(law: Law, kind: str, n: int) -> Iterator[tuple[Directed, dict[Cause, float]]]:
    """Every shift that a kind may be, and its sizes in units of 1; two parts are about the same classes."""
    parts = KINDS[kind][0]
    sizes = shift_of(kind, law, n).oracle
    choices: dict[str, Sequence[Any]] = {}
    if law.form == "classes" and set(parts) & {"relevant", "label", "concept"}:
        choices["about"] = PAIRS
    if "irrelevant" in parts:
        choices |= {"channel": range(law.channels), "of_channel": STATISTICS}
    if "concept" in parts and law.form != "classes":
        choices["change"] = CHANGES[law.form]
    # two classes change names: there is one way
    signs = [(1,) if part == "concept" and law.form == "classes" else (1, -1) for part in parts]
    for chosen in product(*choices.values()):
        own = Direction(law.form, law.seed, law.phi, law.channels, **dict(zip(choices, chosen, strict=True)))
        if "change" in choices:
            sizes = sizes | {"concept": concept_size(law, own.change, n)}
        for sign in product(*signs):
            yield (
                Directed(own, parts, pool_of(law)),
                {part: of * sizes[part] for part, of in zip(parts, sign, strict=True)},
            )


def evidence(ratio: Float[ndarray, "series"], side: Bool[ndarray, "series"]) -> float:
    """Log likelihood of the sides over that of knowing nothing."""

    def loss(intercept: float) -> float:
        scores = ratio + intercept
        return float(np.logaddexp(0, np.where(side, -scores, scores)).sum())

    share = side.mean()
    nothing = -float(np.where(side, np.log(share), np.log1p(-share)).sum())
    middle = float(np.log(share / (1 - share)) - ratio.mean())
    return nothing - float(minimize_scalar(loss, bracket=(middle - 1, middle + 1)).fun)


def joined(*drawn: Drawn) -> Drawn:
    """All series in one."""
    return Drawn(*(np.concatenate([getattr(one, field.name) for one in drawn]) for field in fields(Drawn)))


def measure(form: TargetForm, seed: int) -> list[dict[str, Any]]:
    rows = []
    for size in SIZES:
        for kind in KINDS:
            one = case(kind, seed, size, form=form)
            both = joined(one.reference, one.deployed)
            side = np.arange(len(both.y)) >= len(one.reference.y)
            found = {}
            for other in KINDS:
                gains = [
                    evidence(shift.log_density_ratio(both, {part: size * t for part, t in sizes.items()}), side)
                    for shift, sizes in directions(one.shift.law, other, len(one.deployed.y))
                ]
                found[other] = float(logsumexp(gains) - np.log(len(gains)))
            rows.append(
                {"kind": kind, "size": size, "truth": one.verdict}
                | {name: f"{gain:.3f}" for name, gain in found.items()}
            )
    return rows


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Per form and size: the share of right names, when so many nulls have one."""
    for form, which in sorted({(row["form"], row["seeds"]) for row in rows}):
        for size in SIZES:
            own = [row for row in rows if (row["form"], row["seeds"], float(row["size"])) == (form, which, size)]
            nulls = sorted(best(row)[0] for row in own if row["kind"] == "none")
            needed = max(0.0, nulls[-1 - int(FALSE_ALARMS * len(nulls))])
            for kind in (*KINDS, "all"):
                some = [row for row in own if kind in (row["kind"], "all")]
                right = sum(
                    (best(row)[1] if best(row)[0] > needed else "none detected") == row["truth"] for row in some
                )
                found = {
                    f"right {name}".replace(" value", ""): text for name, text in fraction(right, len(some)).items()
                }
                yield {"form": form, "seeds": which, "size": size, "kind": kind, "cases": len(some)} | found


def best(row: Row) -> tuple[float, str]:
    """The gain of the likeliest name, and the name; every kind is as likely before."""
    gains: dict[str, list[float]] = {}
    for kind, (parts, name) in KINDS.items():
        if parts:
            gains.setdefault(name, []).append(float(row[kind]))
    return max((float(logsumexp(of)), name) for name, of in gains.items())


BOUND_PART = Part(("form", "seed"), jobs_of("classes", "numbers", "steps"), measure, summary)
