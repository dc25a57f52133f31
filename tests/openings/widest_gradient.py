"""An observer of a user's own, in one file: the steps of a series at which its gradient is widest."""

from throughtime.training import Observer, StepRecord


class WidestGradient(Observer):
    """Keeps, for each step of the optimizer, where in time dL/dh_t of the first series is largest."""

    needs = frozenset({"state_gradient_norms"})

    def __init__(self) -> None:
        self.places: list[list[int]] = []

    def on_step(self, record: StepRecord) -> None:
        """One place per member."""
        (layer,) = record.state_gradient_norms or ()
        self.places.append(layer.h[:, :, 0].argmax(1).tolist())
