"""Studies, searches and diagnoses of a study go on where they were stopped; the records of gradients with them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from studies import arrays, classifier

from stopped import StopsAfter
from throughtime import evaluate, study
from throughtime.data import Dataset, Sequences

pytestmark = pytest.mark.usefixtures("types_unchecked")

X, Y = arrays()
DATA = Dataset(Sequences.from_arrays(X), Y, tuple(map(str, range(20))), "x", "x")
NET = classifier(max_epochs=4)


def in_words(value: Any) -> str:
    """All of a result but times."""
    return re.sub(r"(seconds=|'seconds': |_time': )[^,)}]+", "", repr(value))


def of_study(found: study.Study) -> list[Any]:
    assessment = found.assessment
    networks = [*assessment.refits, *(one for seed in assessment.folds for one in seed)]
    weights = [{name: one.numpy().tobytes() for name, one in net.network_.state.items()} for net in networks]
    flow = [[(repr(one), one.log_norms.tobytes()) for one in refit.flow_] for refit in assessment.refits]
    return [weights, [repr(net.history_) for net in networks], flow, repr(assessment.scores)]


def searched(**rest: Any) -> Any:
    ranking = study.search(study.plan(NET, DATA, cv=3), {"lr": [0.01, 0.1]}, **rest)
    results = ranking.results
    return [{name: repr(column) for name, column in results.items() if "time" not in name}, ranking.chosen]


CALLS: dict[str, Callable[..., Any]] = {
    "evaluate": lambda **rest: of_study(evaluate(NET, X, Y, cv=3, seeds=2, baselines=False, **rest)),
    "train": lambda **rest: of_study(study.train(study.plan(NET, DATA, cv=3), baselines=[], **rest)),
    "search": searched,
    "diagnosis": lambda **rest: in_words(
        study.report_diagnosis(NET, DATA, cv=3, probes=["lr x4"], repeats=1, **rest).diagnosis
    ),
}


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
@pytest.mark.parametrize("name", CALLS)
def test_what_was_stopped_goes_on_to_what_it_would_have_been(name, tmp_path):
    call, unbroken = CALLS[name], CALLS[name]()
    for writes in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            call(checkpoints=StopsAfter(tmp_path, writes))
    assert call(checkpoints=tmp_path) == unbroken


def test_a_study_that_goes_on_has_the_records_of_its_networks_gradients(tmp_path):
    unbroken = evaluate(NET, X, Y, cv=3, baselines=False)
    evaluate(NET, X, Y, cv=3, baselines=False, checkpoints=tmp_path)
    again = evaluate(NET, X, Y, cv=3, baselines=False, checkpoints=tmp_path)
    assert len(unbroken.assessment.refits[0].flow_) == 1
    assert of_study(again) == of_study(unbroken)


def test_where_training_was_kept_is_no_setting_of_a_diagnosis(tmp_path):
    report = study.report_diagnosis(NET, DATA, cv=2, probes=["lr x4"], repeats=1, checkpoints=tmp_path)
    assert set(report.config["diagnosis"]) == {"probes", "repeats"}
