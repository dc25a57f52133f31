"""Random streams are made of what a member is."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from throughtime.training import Purpose, derived_seed, stream
from throughtime.training.streams import first_rows


def test_a_stream_is_made_of_its_key_alone():
    np.random.seed(0)  # noqa: NPY002  what anything else draws does not matter
    first = stream(7, Purpose.DROPOUT, 3, 1, 0).random(5)
    np.random.random(9)  # noqa: NPY002
    stream(7, Purpose.DROPOUT, 3, 1, 0).random(100)
    assert np.array_equal(first, stream(7, Purpose.DROPOUT, 3, 1, 0).random(5))


def test_another_seed_purpose_epoch_step_or_layer_is_another_stream():
    keys = [
        (7, Purpose.DROPOUT, 3, 1, 0),
        (8, Purpose.DROPOUT, 3, 1, 0),
        (7, Purpose.SHUFFLE, 3, 1, 0),
        (7, Purpose.DROPOUT, 4, 1, 0),
        (7, Purpose.DROPOUT, 3, 2, 0),
        (7, Purpose.DROPOUT, 3, 1, 1),
        (7, Purpose.DROPOUT, 1, 3, 0),
    ]
    draws = [stream(*key).integers(2**62, size=4) for key in keys]
    for one, other in combinations(draws, 2):
        assert not np.intersect1d(one, other).size


def test_purposes_keep_their_numbers_because_results_depend_on_them():
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "INITIAL_WEIGHTS": 0,
        "SHUFFLE": 1,
        "DROPOUT": 2,
        "INNER_SPLIT": 3,
        "NOISE": 4,
        "PERTURBATION": 5,
        "PROBE": 6,
        "INPUT_NOISE": 7,
    }


def test_a_derived_seed_fits_every_library_whatever_the_members_seed():
    seeds = [derived_seed(seed, purpose) for seed in (0, 1, 2**31, 2**63, 2**100) for purpose in Purpose]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


@given(
    blocks=st.integers(1, 5),
    all_rows=st.integers(1, 40),
    columns=st.integers(1, 19),
    share=st.floats(0, 1),
)
def test_the_first_rows_are_those_of_all_rows_drawn_whole(blocks, all_rows, columns, share):
    rows = max(1, round(share * all_rows))
    whole = stream(7, Purpose.DROPOUT, 1).random((blocks, all_rows, columns), dtype=np.float32)
    first = first_rows(stream(7, Purpose.DROPOUT, 1), (blocks, all_rows, columns), rows)
    assert np.array_equal(first, whole[:, :rows])


def test_rows_that_are_skipped_cost_nothing():
    first = first_rows(stream(7, Purpose.DROPOUT), (100, 10**12, 64), 3)  # a terabyte each, if they were drawn
    assert first.shape == (100, 3, 64)
    assert len(np.unique(first)) > 0.99 * first.size  # no block repeats another
