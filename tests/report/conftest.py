"""Studies and pages that the tests of the report share."""

import pytest
from reported_runs import RUNS, run_of

from throughtime.report import run_page
from throughtime.study import Run, Study


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    place = tmp_path_factory.mktemp("reported")
    return {name: make(place) for name, make in RUNS.items()}


@pytest.fixture(scope="session")
def runs(studies: dict[str, Study]) -> dict[str, Run]:
    return {name: run_of(study) for name, study in studies.items()}


@pytest.fixture(scope="session")
def pages(studies: dict[str, Study]) -> dict[str, str]:
    return {name: run_page(run_of(study)).decode() for name, study in studies.items()}
