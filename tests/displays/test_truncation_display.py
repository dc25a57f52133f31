"""The picture of a truncation's bias shows the record's numbers, and the steps of a training."""

from throughtime.displays import TruncationBiasDisplay
from throughtime.stability import TruncationBias

RECORD = TruncationBias((1, 4, 16, 64), (0.1, 0.5, 0.9, 1.0), (0.2, 0.6, 0.9, 1.0), 64)


def test_the_lines_are_the_records_numbers() -> None:
    shown = TruncationBiasDisplay(RECORD).plot()
    for name in ("cosine", "norm_ratio", "relative_bias"):
        x, y = shown.lines_[name].get_data()
        assert (tuple(x), tuple(y)) == (RECORD.k, getattr(RECORD, name))


def test_the_steps_of_a_training_are_marked_where_they_are() -> None:
    shown = TruncationBiasDisplay(RECORD).plot(k2=16)
    assert list(shown.ax_.lines[-1].get_xdata()) == [16, 16]
    assert [text.get_text() for text in shown.ax_.texts] == ["k2 = 16"]
