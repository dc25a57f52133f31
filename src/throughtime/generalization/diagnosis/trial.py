"""The base and its probes, repeat after repeat, and what was left out on the way."""

import time
from collections.abc import Iterable, Mapping

from throughtime.errors import ParameterError, ThroughtimeError
from throughtime.estimators import SequenceEstimator
from throughtime.findings import NotApplicable
from throughtime.generalization.diagnosis.evidence import Evidence, Measured, worth_repeating
from throughtime.generalization.diagnosis.experiment import Experiment, Judged
from throughtime.generalization.diagnosis.probes import Base, Probe, Variant
from throughtime.generalization.diagnosis.time_budget import OutOfTimeError, TimeBudget

#: What the base is called beside the probes.
_BASE = "base"


class Trial:
    """Conditions trained and measured.

    Parameters
    ----------
    experiment
        What trains them.
    probes
        What to try, the most telling first.
    budget
        Seconds for all of it. With one, conditions train one after the other, as long as they will be over in time.

    Attributes
    ----------
    first
        The base of the first repeat.
    base_members
        The networks of the base in the first repeat, one per fold.
    base, probes
        What was measured, by name; every probe in the first repeats of the base.
    not_measured
        Reasons, by name.
    skipped
        Probes for which there was no time, not even once.
    members, members_saved
        Networks trained, and spared by racing.
    out_of_time
        Whether the budget left anything out.
    """

    def __init__(self, experiment: Experiment, probes: Iterable[Probe], budget: TimeBudget) -> None:
        self._experiment, self._budget = experiment, budget
        self._asked = {probe.name: probe for probe in probes}
        self._seconds: dict[str, float] = {}
        self.first = experiment.repeat(0)
        self.base_members: list[SequenceEstimator] = []
        self.base = Measured(None, Variant("as it is"))
        self.probes: dict[str, Measured] = {}
        self.not_measured: dict[str, str] = {}
        self.skipped: list[str] = []
        self.members = self.members_saved = 0
        self.out_of_time = False

    def begin(self) -> None:
        """The first repeat.

        Raises
        ------
        DataError, ParameterError, DivergenceError
            When the base cannot be trained, no probe can be tried, or there is no time for one.
        """
        variants = self._variants(self.first, self._asked)
        results = self._run(self.first, {_BASE: self.base.variant, **variants})
        for name, variant in variants.items():
            if name in results:
                self.probes[name] = Measured(self._asked[name], variant)
        if not self._take(results) or (self.skipped and not self.probes):
            short = "a probe" if results else "the base"
            raise ParameterError(
                f"budget needs time for the base and a probe on every fold, got {self._budget.seconds:g} s, too little "
                f"for {short}; a higher budget, fewer folds or fewer epochs help"
            )
        if not self.probes:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.not_measured.items())
            raise ParameterError(f"diagnose needs a probe that can be tried, got none: {reasons}")

    def follow_up(self, probe: Probe) -> None:
        """Try one more probe in the first repeat, if there is time."""
        self._asked[probe.name] = probe
        variants = self._variants(self.first, {probe.name: probe})
        self.probes |= {name: Measured(probe, variant) for name, variant in variants.items()}
        results = self._run(self.first, variants)
        self._keep(results)
        for name in variants.keys() - results.keys():
            del self.probes[name]

    def again(self, number: int, margin: float, leak_margin: float, racing: bool) -> None:
        """One more repeat.

        Parameters
        ----------
        number
            Of the repeat, from 1.
        margin, leak_margin, racing
            Whether those are left out that will not reach the margin: see `worth_repeating`.
        """
        if self.out_of_time:
            return
        names = list(self.probes)
        if racing:
            evidence = self.evidence(0.95)
            names = [name for name in names if worth_repeating(evidence, name, margin, leak_margin)]
        base = self._experiment.repeat(number)
        variants = self._variants(base, {name: self._asked[name] for name in names})
        spared = [one.variant for name, one in self.probes.items() if name not in names]
        self.members_saved += sum(_members(self.first, variant) for variant in spared)
        self._take(self._run(base, {_BASE: self.base.variant, **variants}))

    def evidence(self, level: float) -> Evidence:
        """What it comes to so far."""
        return Evidence(self.base, self.probes, self._experiment.losses, self._experiment.units, level)

    def _variants(self, base: Base, probes: Mapping[str, Probe]) -> dict[str, Variant]:
        found = {}
        for name, probe in probes.items():
            variant = probe.variant(base)
            if isinstance(variant, NotApplicable):
                self.not_measured[name] = variant.reason
            elif not isinstance(variant, Variant):
                raise ParameterError(f"probe {name!r} needs to give a Variant, got {type(variant).__name__}")
            elif variant.is_setting and _changes_nothing(base, variant):
                raise ParameterError(f"a probe needs to differ from the base, got {name!r}, which changes nothing")
            else:
                found[name] = variant
        return found

    def _run(self, base: Base, variants: Mapping[str, Variant]) -> dict[str, Judged | Exception]:
        """Train variants on every fold; what there is no time for is not among the results."""
        if self._budget.seconds is None:
            self.members += sum(_members(base, variant) for variant in variants.values())
            return self._experiment.run(base, variants)
        results: dict[str, Judged | Exception] = {}
        for name, variant in variants.items():
            begin = time.monotonic()
            try:
                if not self._budget.fits(self._foretold(base, name, variant)):
                    raise OutOfTimeError
                results |= self._experiment.run(base, {name: variant}, self._budget.watch())
            except OutOfTimeError:
                self.out_of_time = True
                if name == _BASE:
                    break
                if name not in self.probes:
                    self.skipped.append(name)
                    self.not_measured[name] = "there was no time for it"
                continue
            self.members += _members(base, variant)
            self._seconds[name] = time.monotonic() - begin
        return results

    def _take(self, results: Mapping[str, Judged | Exception]) -> bool:
        """Keep the results of a repeat; whether it has any."""
        own = results.get(_BASE)
        if own is None:
            return False
        if isinstance(own, Exception):
            if isinstance(own, ThroughtimeError):
                raise type(own)(f"diagnose needs a base that trains on every fold: {own}") from own
            raise own
        self.base.repeats.append(own.losses)
        self.base_members = self.base_members or own.members
        self._keep({name: result for name, result in results.items() if name != _BASE})
        return True

    def _keep(self, results: Mapping[str, Judged | Exception]) -> None:
        """Keep what probes came to."""
        for name, result in results.items():
            if isinstance(result, Exception):
                self.not_measured[name] = str(result)
                del self.probes[name]
            else:
                self.probes[name].repeats.append(result.losses)

    def _foretold(self, base: Base, name: str, variant: Variant) -> float:
        """Seconds that a condition will take: as in the last repeat, or by the base's and what there is more to do."""
        if name in self._seconds or _BASE not in self._seconds:
            return self._seconds.get(name, 0.0)
        work = self._seconds[_BASE] * (1.0 if variant.X is None else variant.X.n_steps / base.X.n_steps)
        for parameter in ("max_epochs", "hidden_size"):
            now = getattr(base.estimator, parameter)
            work *= variant.parameters.get(parameter, now) / now
        return work


def _members(base: Base, variant: Variant) -> int:
    return len(base.folds if variant.folds is None else variant.folds)


def _changes_nothing(base: Base, variant: Variant) -> bool:
    now = base.estimator.get_params(deep=False)
    return all(name in now and _equal(now[name], value) for name, value in variant.parameters.items())


def _equal(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))
