"""An observer of a user's own that looks at members between two steps, in one file."""

from collections import defaultdict

from throughtime.training import Observer, Probe


class LargestWeight(Observer):
    """Keeps, for each member, its largest weight before every second of its steps and at its end."""

    probe_every = 2

    def __init__(self) -> None:
        self.largest: dict[int, list[float]] = defaultdict(list)

    def on_probe(self, probe: Probe) -> None:
        """One number per member that is due."""
        for m, place in enumerate(probe.members):
            self.largest[place].append(max(float(weight[m].abs().max()) for weight in probe.weights.values()))
