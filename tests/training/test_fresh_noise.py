"""Noise of every kind is drawn anew in each pass and each step, and what is no noise is not."""

from dataclasses import replace

import numpy as np
import pytest
from test_lockstep import NET, RECIPE, Data, N, curve_of

from throughtime.training import train

LSTM = replace(NET, cell="lstm")
NOISES = [
    {"dropout": 0.3},
    {"input_noise": 0.3},
    *({"noise": {kind: 0.3}} for kind in
      ("variational_dropout", "recurrent_dropout", "candidate_dropout", "zoneout", "cell_zoneout")),
]  # fmt: skip


def losses(changed: dict[str, object], rows: np.ndarray, batch_size: int) -> list[float]:
    """Of each pass, by weights that do not move."""
    data = Data()
    masks_state = "recurrent_dropout" in changed.get("noise", {})
    recipe = replace(RECIPE, batch_size=batch_size, masks_state=masks_state)
    member = data.member(rows, lr=1e-300, max_epochs=4, **changed)
    return curve_of(train(LSTM, recipe, data.inputs, [member])[0])


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("changed", NOISES, ids=str)
def test_noise_is_new_in_each_pass_and_the_same_again_in_another_run(changed):
    # one series in many places, so that it is not the shuffle that gives each pass another loss
    found = losses(changed, np.zeros(5, dtype=np.int64), N)
    assert len(set(found)) == 4
    assert losses(changed, np.zeros(5, dtype=np.int64), N) == found


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("changed", NOISES, ids=str)
def test_noise_is_new_in_each_step(changed):
    # in a pass of one step per place the mean is of as many draws: of the same ones it would be that of one place
    assert losses(changed, np.zeros(5, dtype=np.int64), 1)[0] != pytest.approx(
        losses(changed, np.zeros(1, dtype=np.int64), 1)[0], rel=1e-6
    )


@pytest.mark.usefixtures("either_path")
@pytest.mark.parametrize("changed", [{}, {"label_smoothing": 0.3}, {"weight_decay": 3.0}], ids=str)
def test_without_noise_each_pass_has_the_same_loss_whatever_else_the_objective_has(changed):
    # float64: each pass adds the same numbers in another order
    assert losses(changed, np.arange(N), N) == pytest.approx(losses({}, np.arange(N), N)[:1] * 4, rel=1e-12)
