"""Gradients through time are part of a study and of its run."""

from dataclasses import fields

import numpy as np
import pytest
from studies import arrays, classifier

from throughtime import evaluate, storage
from throughtime.errors import FlowWarning, StorageError
from throughtime.storage import read_run
from throughtime.study import Run

X, Y = arrays()


def same(one: object, other: object) -> bool:
    for field in fields(one):  # type: ignore[arg-type]
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    return True


def test_without_a_monitor_the_networks_of_all_series_have_one_record_each(tmp_path):
    study = evaluate(classifier(), X, Y, cv=2, seeds=2)
    assert [(flow.seed, flow.fold, [r.kind for r in flow.records]) for flow in study.flow] == [
        (0, None, ["kept"]),
        (1, None, ["kept"]),
    ]
    assert study.flow[0].records[0].step == 2
    study.save(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert [(flow.seed, flow.fold) for flow in run.flow] == [(0, None), (1, None)]
    assert all(same(a.records[0], b.records[0]) for a, b in zip(study.flow, run.flow, strict=True))
    assert "flow.png" not in run.names
    assert same(run.estimator.flow_[0], study.estimator.flow_[0])
    assert [hasattr(member.estimator, "flow_") for member in run.members] == [False, False, True] * 2
    assert same(run.estimators[1].flow_[0], study.estimators[1].flow_[0])


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
def test_with_a_monitor_every_network_has_all_of_its_records(tmp_path):
    study = evaluate(classifier(monitor="flow", max_epochs=6), X, Y, cv=2)
    assert [(flow.fold, len(flow.records)) for flow in study.flow] == [(0, 7), (1, 7), (None, 7)]
    study.save(tmp_path / "run")
    run = Run.open(tmp_path / "run")
    for ours, theirs in zip(study.flow, run.flow, strict=True):
        assert all(same(*pair) for pair in zip(ours.records, theirs.records, strict=True))
    for member, theirs in zip(run.members, run.flow, strict=True):
        assert member.estimator.flow_ is theirs.records
    assert len(run.estimator.flow_) == 7
    assert run.pictures["flow.png"].startswith(b"\x89PNG")
    assert run.config["parameters"]["monitor"] == "flow"


def test_a_warning_of_a_study_names_folds_and_seeds_as_people_count():
    with pytest.warns(FlowWarning) as told:
        evaluate(classifier(monitor="flow", max_epochs=1), np.repeat(X, 8, axis=1), Y, cv=2, seeds=2)
    text = " ".join(str(one.message) for one in told)
    for name in ("fold 1, seed 1", "fold 2, seed 1", "fold 1, seed 2", "fold 2, seed 2", "all series, seed 1"):
        assert f"{name}, epoch 1: 1 % of it is left" in text


def test_an_earlier_run_has_none_and_opens(tmp_path):
    study = evaluate(classifier(), X, Y, cv=2)
    study.save(tmp_path / "run")
    content = {name: read_run(tmp_path / "run").bytes(name) for name in Run.open(tmp_path / "run").names}
    del content["flow.safetensors"]
    storage.write_run(tmp_path / "earlier", content, Run.open(tmp_path / "run").facts)
    run = Run.open(tmp_path / "earlier")
    assert run.flow == []
    assert run.estimator.predict(X).shape == (20,)
    assert not hasattr(run.estimator, "flow_")


def test_records_that_were_edited_are_refused(tmp_path):
    study = evaluate(classifier(), X, Y, cv=2)
    study.save(tmp_path / "run")
    files = read_run(tmp_path / "run")
    content = {name: files.bytes(name) for name in Run.open(tmp_path / "run").names}
    name = "seed0.refit.lags"
    spoiled = dict(files.arrays("flow.safetensors")) | {name: np.array([3, 1])}
    storage.write_run(tmp_path / "again", content | {"flow.safetensors": storage.arrays_to_bytes(spoiled)}, {})
    with pytest.raises(StorageError, match=r"flow.safetensors: seed0.refit needs to hold records of gradients"):
        _ = Run.open(tmp_path / "again").flow
