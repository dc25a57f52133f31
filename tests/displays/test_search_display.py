"""The picture of a search shows the scores that it is given."""

from types import SimpleNamespace

import numpy as np
import pytest

from throughtime.displays import SearchDisplay
from throughtime.errors import ParameterError

GRID = [{"lr": lr, "hidden_size": size} for size in (4, 8) for lr in (0.1, 0.001, 0.01)]
MEANS = np.array([0.5, 0.6, 0.7, 0.8, np.nan, 0.75])
ERRORS = np.full(6, 0.02)


def test_each_value_of_the_second_parameter_is_a_line_in_order_of_the_first() -> None:
    ax = SearchDisplay(GRID, MEANS, ERRORS, "accuracy").plot().ax_
    lines = {bar.get_label(): np.array(bar.lines[0].get_xydata()) for bar in ax.containers}
    assert lines["hidden_size 4"].tolist() == [[0.001, 0.6], [0.01, 0.7], [0.1, 0.5]]
    assert lines["hidden_size 8"].tolist() == [[0.01, 0.75], [0.1, 0.8]]  # one setting failed
    assert ax.get_xscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lr", "accuracy")


def test_the_chosen_setting_is_ringed_and_the_dotted_line_is_the_best_less_an_error() -> None:
    ax = SearchDisplay(GRID, MEANS, ERRORS, chosen=5).plot().ax_
    drawn = {line.get_label(): np.array(line.get_xydata()) for line in ax.lines}
    assert drawn["chosen"].tolist() == [[0.01, 0.75]]
    assert drawn["best less one standard error"][:, 1] == pytest.approx(0.8 - 0.02)


def test_the_simplest_within_an_error_of_the_best_has_a_mark_of_its_own() -> None:
    ax = SearchDisplay(GRID, MEANS, ERRORS, chosen=3, simplest=5).plot().ax_
    drawn = {line.get_label(): np.array(line.get_xydata()) for line in ax.lines}
    assert drawn["simplest within one SE"].tolist() == [[0.01, 0.75]]
    assert drawn["chosen"].tolist() == [[0.1, 0.8]]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[-2:] == ["chosen", "simplest within one SE"]


def test_a_search_is_drawn_with_its_corrected_errors_and_the_setting_that_the_rule_takes() -> None:
    scores = np.array([[0.9, 0.92, 0.94], [0.90, 0.92, 0.91], [0.5, 0.5, 0.5]])
    results = {f"split{fold}_test_score": column for fold, column in enumerate(scores.T)}
    results["params"] = [{"weight_decay": own, "lr": 0.01} for own in (0.0, 0.1, 1.0)]
    results["mean_test_score"] = scores.mean(1)
    display = SearchDisplay.from_search(SimpleNamespace(cv_results_=results, best_index_=0))
    assert display.names == ["weight_decay"]
    assert (display.chosen, display.simplest) == (0, 1)
    np.testing.assert_allclose(display.errors, scores.std(1, ddof=1) * (1 / 3 + 1 / 2) ** 0.5)
    results["params"] = [{"cell": cell} for cell in ("rnn", "gru", "lstm")]  # none is said to be simpler
    assert SearchDisplay.from_search(SimpleNamespace(cv_results_=results)).simplest is None


def test_settings_drawn_of_two_parameters_are_points_colored_by_score() -> None:
    rng = np.random.default_rng(0)
    settings = [{"lr": lr, "dropout": dropout} for lr, dropout in rng.uniform(0.1, 0.5, size=(9, 2))]
    means = rng.uniform(size=9)
    means[2] = np.nan
    points, failed = SearchDisplay(settings, means, means).plot().ax_.collections
    seen = np.isfinite(means)
    assert sorted(map(tuple, points.get_offsets().tolist())) == sorted(
        tuple(setting.values()) for setting, known in zip(settings, seen, strict=True) if known
    )
    np.testing.assert_array_equal(points.get_array(), means[seen])
    assert failed.get_offsets().tolist() == [list(settings[2].values())]


def test_words_and_zero_stand_in_a_row() -> None:
    for name, values, labels in (
        ("cell", ["gru", "rnn"], ["gru", "rnn"]),
        ("clip_norm", [None, 1.0], ["1", "none"]),
        ("weight_decay", [0.0, 0.01, 1.0], ["0", "0.01", "1"]),
    ):
        settings = [{name: value} for value in values]
        ax = SearchDisplay(settings, np.arange(len(values)) / 10, np.zeros(len(values))).plot().ax_
        assert [label.get_text() for label in ax.get_xticklabels()] == labels


@pytest.mark.parametrize("n", [0, 3])
def test_one_or_two_parameters_can_be_drawn(n: int) -> None:
    with pytest.raises(ParameterError, match="needs one or two parameters"):
        SearchDisplay([{f"p{k}": 1 for k in range(n)}], np.zeros(1), np.zeros(1))
