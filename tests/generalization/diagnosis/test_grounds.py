"""What a verdict that nothing helps, or that there is nothing to learn, has to rest on."""

import numpy as np
import pytest

from throughtime import SequenceClassifier, SequenceRegressor, diagnose, load
from throughtime.errors import ParameterError

X, Y = load("japanese-vowels", split="train")


def test_a_net_that_has_not_learned_its_training_series_says_nothing_of_the_signal():
    asleep = SequenceClassifier(hidden_size=4, max_epochs=1, lr=1e-5)
    found = diagnose(asleep, X, Y, repeats=1)
    assert found.verdict == "inconclusive"
    assert "training series" in found.sentence
    assert found.history is not None
    assert found.history.needed is None  # of what it knows nothing is missed


@pytest.mark.parametrize("probes", [["half of the data"], ["lr x4"], ["lr x4", "weight_decay up"]], ids=str)
def test_that_nothing_helps_is_not_said_where_no_remedy_of_some_kind_was_tried(probes):
    good = SequenceClassifier(hidden_size=32, max_epochs=20)
    assert diagnose(good, X, Y, probes=probes, repeats=1).verdict == "inconclusive"
    every_kind = ["lr x4", "weight_decay up", "hidden_size x2"]
    assert diagnose(good, X, Y, probes=every_kind, repeats=1).verdict == "healthy"


def test_a_pipeline_is_referred_to_features():
    with pytest.raises(ParameterError, match="features="):
        diagnose("pipeline", X, Y)


def test_the_units_that_would_settle_it_are_more_than_there_are():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6, 2)).astype(np.float32)
    found = diagnose(SequenceRegressor(hidden_size=4, max_epochs=3), x, x[:, -1, 0], cv=3, repeats=1)
    about = found.open_question.partition("about ")[2].partition(" ")[0]
    assert not about or int(about) > 24
