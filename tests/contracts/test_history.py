"""What is history is read and never a target: a network is bit for bit that of targets set to NaN by hand."""

import numpy as np
from sklearn.metrics import r2_score

from throughtime import SequenceRegressor, evaluate
from throughtime.data import Dataset, Sequences

LENGTH, HISTORY = 10, 7


def test_a_network_with_history_is_that_of_targets_set_to_nan_by_hand() -> None:
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 2)) for n in (43, 30, 21)]
    y = [part[:, :1] + 10.0 * k for k, part in enumerate(x)]  # a mean over history twice would be another
    ids = ("a", "b", "c")
    whole = Dataset(Sequences.from_arrays(x), Sequences.from_arrays(y), ids, "rivers", "rivers")
    cut = whole.windows(LENGTH, history=HISTORY)

    inputs, targets, groups = [], [], []
    for name, series, steps in zip(ids, x, y, strict=True):
        for begin in range(0, len(series), LENGTH):
            first = max(0, begin - HISTORY)
            inputs.append(series[first : begin + LENGTH])
            own = steps[first : begin + LENGTH].copy()
            own[: begin - first] = np.nan
            targets.append(own)
            groups.append(name)
    X = Sequences.from_arrays(inputs, groups=groups)

    model = SequenceRegressor(hidden_size=3, max_epochs=3, batch_size=2, random_state=0)
    folds = [(np.flatnonzero(np.array(groups) != name), np.flatnonzero(np.array(groups) == name)) for name in ids]
    one = evaluate(model, cut, cv=folds)
    other = evaluate(model, X, Sequences.from_arrays(targets, groups=groups), cv=folds)
    assert one.metrics.models == other.metrics.models
    assert one.estimator.history_ == other.estimator.history_
    np.testing.assert_array_equal(one.estimator.predict(cut.X).values, other.estimator.predict(X).values)

    # Every step is scored, and is one of those that scale the target, once.
    assert one.out_of_fold is not None
    truth = one.out_of_fold["truth"]
    np.testing.assert_array_equal(np.sort(truth), np.sort(np.concatenate(y)[:, 0]))
    pooled = one.metrics.models[-1].pooled["R2"]
    np.testing.assert_allclose(pooled, r2_score(truth, one.out_of_fold["prediction"]), rtol=1e-6)
    facts = vars(one.estimator)
    assert np.isclose(facts["target_mean_"], np.concatenate(y).mean())
