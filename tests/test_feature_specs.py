"""The text of the parameter ``features``: what it asks for, and what it cannot say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import ParameterError
from throughtime.feature_specs import FeatureSpec, parse_features

LAGS = st.lists(st.integers(1, 10**9), min_size=1, max_size=3, unique=True)
SPECS = st.one_of(
    st.builds(lambda lags: FeatureSpec("lag", tuple(lags)), LAGS),
    st.builds(lambda lags: FeatureSpec("diff", tuple(lags)), LAGS),
    st.builds(
        lambda windows, words: FeatureSpec("rolling", tuple(windows), tuple(words)),
        st.lists(st.integers(2, 10**9), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(["mean", "std", "min", "max"]), min_size=1, unique=True),
    ),
    st.builds(
        lambda periods: FeatureSpec("fourier", tuple(periods)),
        st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=3, unique=True),
    ),
    st.builds(
        lambda words: FeatureSpec("summary", (), tuple(words)),
        st.lists(st.sampled_from(["mean", "slope", "catch22"]), min_size=1, unique=True),
    ),
)


@given(st.lists(SPECS, min_size=1, max_size=4, unique_by=lambda spec: spec.name))
def test_what_is_written_is_read_again(specs: list[FeatureSpec]) -> None:
    assert parse_features(",".join(map(str, specs))) == tuple(specs)


def test_defaults_are_spelled_out_and_spaces_are_free() -> None:
    found = [str(spec) for spec in parse_features(" diff, lag , rolling: 7:28:max,summary,fourier:365.25:7")]
    assert found == ["diff:1", "lag:1", "rolling:7:28:max", "summary:mean:std:min:max:slope", "fourier:365.25:7"]
    assert parse_features(None) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "features needs names among diff, lag, rolling, fourier, summary, .* got ''"),
        ("diff,", "got ''"),
        ("rollin:7", "got 'rollin:7'; did you mean rolling"),
        ("rolling", "features='rolling' needs windows, whole numbers of steps from 2 to .*, got none"),
        ("rolling:1", r"from 2 to .*, got \(1,\)"),
        ("rolling:7.5", r"whole numbers of steps from 2 to 1,000,000,000, got \(7.5,\)"),
        ("rolling:7:men", "needs words among mean, std, min, max, each once, got 'men'; did you mean mean"),
        ("rolling:7:mean:mean", "each once, got"),
        ("lag:0", r"features='lag:0' needs lags, whole numbers of steps from 1 to .*, got \(0,\)"),
        ("lag:7:7", r"each once, got \(7, 7\)"),
        ("lag:1000000001", "from 1 to 1,000,000,000"),
        ("diff:-1", "from 1 to"),
        ("diff:mean", "features='diff:mean' needs numbers alone, got 'mean'"),
        ("diff:", "features='diff:' needs numbers alone, got ''"),
        ("fourier", "needs periods, finite numbers above 0, got none"),
        ("fourier:0", "finite numbers above 0, got"),
        ("fourier:inf", "finite numbers above 0, got"),
        ("fourier:nan", "finite numbers above 0, got"),
        ("summary:7", "needs no numbers, got 7"),
        ("summary:median", "got 'median'"),
        ("diff,rolling:7,diff:1", "features needs each feature once, got diff:1 twice in 'diff,rolling:7,diff:1'"),
        ("rolling:7,rolling:28:7:std", "got rolling:7:std twice"),
        ("summary,summary:mean", "got summary:mean twice"),
    ],
)
def test_what_asks_for_no_feature_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse_features(text)
