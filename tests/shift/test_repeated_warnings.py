"""Warnings of several steps of one call."""

import warnings

import pytest

from throughtime.errors import DataWarning
from throughtime.shift.repeated_warnings import each_warning_once


def test_a_warning_is_shown_when_it_first_comes_and_not_again_in_the_same_call() -> None:
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with each_warning_once():
                for text, category in (("a", DataWarning), ("a", UserWarning), ("a", DataWarning), ("b", DataWarning)):
                    warnings.warn(text, category, stacklevel=1)
                    assert str(caught[-1].message) == text  # at once, not at the end
            assert [(str(one.message), one.category) for one in caught] == [
                ("a", DataWarning),
                ("a", UserWarning),
                ("b", DataWarning),
            ]
            assert {one.filename for one in caught} == {__file__}
            for _ in range(2):
                warnings.warn("a", DataWarning, stacklevel=1)
            assert len(caught) == 5  # outside, all of them


def test_filters_stay_in_force() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        with each_warning_once():
            warnings.warn("a", DataWarning, stacklevel=1)
        assert not caught
        warnings.simplefilter("error")
        with pytest.raises(DataWarning, match="a"), each_warning_once():
            warnings.warn("a", DataWarning, stacklevel=1)
