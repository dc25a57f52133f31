"""Augmentations as text: read, written, refused."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.augmentation_specs import AUGMENTATIONS, AugmentationSpec, augmentation_text, parse_augmentations
from throughtime.errors import ParameterError

STRENGTHS = {
    name: st.integers(1, 50).map(float) if name == "permutation" else st.floats(0.001, 0.999) for name in AUGMENTATIONS
}


def specs() -> st.SearchStrategy[list[AugmentationSpec]]:
    one = st.sampled_from(sorted(AUGMENTATIONS)).flatmap(
        lambda name: st.builds(AugmentationSpec, st.just(name), STRENGTHS[name], st.floats(0.001, 1))
    )
    return st.lists(one, min_size=1, max_size=8, unique_by=lambda spec: spec.name)


@given(specs())
def test_what_is_written_is_read_again_to_the_bit(augmentations: list[AugmentationSpec]) -> None:
    text = augmentation_text(augmentations)
    assert parse_augmentations(text) == tuple(augmentations)
    assert augmentation_text(text) == text


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_default_and_the_strength_of_identity_are_allowed(name: str) -> None:
    known = AUGMENTATIONS[name]
    assert parse_augmentations(name) == (AugmentationSpec(name, known.default, 1.0),)
    assert parse_augmentations(f"{name}:{known.identity}")[0].strength == known.identity


def test_the_canonical_text_says_each_strength_and_only_probabilities_below_one() -> None:
    assert (
        augmentation_text(" jitter , permutation:4.0@1, mixup:1e-1@0.50") == "jitter:0.05,permutation:4,mixup:0.1@0.5"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "as name:strength@probability with commas between them, such as .*, got ''"),
        ("jitter,", "such as .*, got ''"),
        (":0.5", "such as .*, got ':0.5'"),
        ("jiter:0.1", "among jitter, scaling, .*, got 'jiter'; did you mean 'jitter'\\\\?"),
        ("jitter:much", "augment needs for jitter a number of at least 0, the standard deviation .*, got 'much'"),
        ("jitter:", "augment needs for jitter .*, got ''"),
        ("jitter:-1", "for jitter a number of at least 0, .*, got -1.0"),
        ("jitter:inf", "got inf"),
        ("time_warp:2", "time_warp a number of at least 0 and at most 1, .*, got 2.0"),
        ("window_slice:1.1", "window_slice a number above 0 and of at most 1, .*, got 1.1"),
        ("channel_dropout:1", "channel_dropout a number of at least 0 and below 1, .*, got 1.0"),
        ("permutation:2.5", "a whole number of at least 1, the segments that change places, got 2.5"),
        ("jitter:0.1@0", "for jitter a probability above 0 and of at most 1 behind its @, got 0.0"),
        ("jitter@often", "behind its @, got 'often'"),
        ("jitter:0.1,scaling,jitter:0.2", "each augmentation once, got jitter 2 times"),
    ],
)
def test_what_is_none_is_refused_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace("\\\\", "\\")):
        parse_augmentations(text)


def test_reading_them_loads_no_torch() -> None:
    code = "import sys, throughtime.parameters, throughtime.augmentation_specs as a; a.parse_augmentations('jitter')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
