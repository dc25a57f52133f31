"""A study: planned, trained, and written as a run that can be read again; for Python and for the command line."""

from throughtime.study.assessment import Assessment, assess, assess_baselines, name_of_member, with_seed
from throughtime.study.checks import refuse_missing, refuse_uneven, shared_with
from throughtime.study.contents import DataFacts
from throughtime.study.diagnosing import DiagnosisReport, report_diagnosis
from throughtime.study.evaluation import evaluate
from throughtime.study.files import run_facts, run_files
from throughtime.study.fingerprint import fingerprint_of
from throughtime.study.flow import FlowReport, flow_files, reach_in_words, report_flow
from throughtime.study.matching import match_names, match_test
from throughtime.study.planning import Plan, folds_in_words, plan, set_aside_in_words
from throughtime.study.results import Fold, MemberFlow, StudyMember, Table
from throughtime.study.run import Run
from throughtime.study.saved_diagnosis import DIAGNOSIS, read_diagnosis, save_diagnosis
from throughtime.study.saved_shift import SHIFT, read_shift, save_shift
from throughtime.study.scores import (
    Metrics,
    ModelScores,
    Score,
    Scorers,
    fold_sizes,
    interval_of,
    scorers_for,
)
from throughtime.study.searching import Ranking, Refit, check_search, chosen_plan, number_of_settings, search, varied
from throughtime.study.shifting import ShiftReport, inputs_left, report_shift, shift_of_test
from throughtime.study.study import Study
from throughtime.study.tables import merged_table, prediction_table, table_bytes, value_in_words
from throughtime.study.training import score_baselines, train

__all__ = [
    "DIAGNOSIS",
    "SHIFT",
    "Assessment",
    "DataFacts",
    "DiagnosisReport",
    "FlowReport",
    "Fold",
    "MemberFlow",
    "Metrics",
    "ModelScores",
    "Plan",
    "Ranking",
    "Refit",
    "Run",
    "Score",
    "Scorers",
    "ShiftReport",
    "Study",
    "StudyMember",
    "Table",
    "assess",
    "assess_baselines",
    "check_search",
    "chosen_plan",
    "evaluate",
    "fingerprint_of",
    "flow_files",
    "fold_sizes",
    "folds_in_words",
    "inputs_left",
    "interval_of",
    "match_names",
    "match_test",
    "merged_table",
    "name_of_member",
    "number_of_settings",
    "plan",
    "prediction_table",
    "reach_in_words",
    "read_diagnosis",
    "read_shift",
    "refuse_missing",
    "refuse_uneven",
    "report_diagnosis",
    "report_flow",
    "report_shift",
    "run_facts",
    "run_files",
    "save_diagnosis",
    "save_shift",
    "score_baselines",
    "scorers_for",
    "search",
    "set_aside_in_words",
    "shared_with",
    "shift_of_test",
    "table_bytes",
    "train",
    "value_in_words",
    "varied",
    "with_seed",
]
