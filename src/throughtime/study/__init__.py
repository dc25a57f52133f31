"""A study: planned, trained, and written as a run that can be read again; for Python and for the command line."""

from throughtime.study.assessment import (
    Assessment,
    assess,
    assess_baselines,
    members_of,
    name_of_member,
    with_seed,
)
from throughtime.study.checks import refuse_missing, refuse_uneven, shared_with
from throughtime.study.commands import command_of
from throughtime.study.comparing import (
    FoldScores,
    IncomparableError,
    RunComparison,
    compare_runs,
    differing_settings,
    series_in,
)
from throughtime.study.comparison_text import (
    folds_won_in_words,
    method_in_words,
    optimism_in_words,
    outcome_in_words,
    p_in_words,
)
from throughtime.study.contents import DataFacts
from throughtime.study.diagnosing import DiagnosisReport, report_diagnosis
from throughtime.study.evaluation import evaluate
from throughtime.study.files import run_facts, run_files
from throughtime.study.fingerprint import fingerprint_of
from throughtime.study.flow import FlowReport, flow_files, reach_in_words, report_flow
from throughtime.study.matching import match_names, match_test
from throughtime.study.planning import Plan, first_seed, folds_in_words, parameters_in_config, plan, set_aside_in_words
from throughtime.study.results import Fold, MemberFlow, StudyMember, Table
from throughtime.study.rivals import against_in_words
from throughtime.study.run import Run
from throughtime.study.sameness import marks_of_data, marks_of_plan, refuse_other
from throughtime.study.saved_configs import SavedConfig, saved_config
from throughtime.study.saved_diagnosis import DIAGNOSIS, diagnosis_files, read_diagnosis, save_diagnosis
from throughtime.study.saved_shift import SHIFT, read_shift, save_shift
from throughtime.study.score_text import best_baseline, mean_score, nan_mean, number, score_number, validation_score
from throughtime.study.scores import (
    Metrics,
    ModelScores,
    Score,
    Scorers,
    fold_sizes,
    interval_of,
    score_bounds,
    scorers_for,
)
from throughtime.study.searching import Ranking, Refit, check_search, chosen_plan, number_of_settings, search, varied
from throughtime.study.shift_outcomes import outcome_of
from throughtime.study.shifting import ShiftReport, inputs_left, report_shift
from throughtime.study.study import REPORT, Study, page_of
from throughtime.study.tables import merged_table, prediction_table, table_bytes, value_in_words
from throughtime.study.training import score_baselines, train

__all__ = [
    "DIAGNOSIS",
    "REPORT",
    "SHIFT",
    "Assessment",
    "DataFacts",
    "DiagnosisReport",
    "FlowReport",
    "Fold",
    "FoldScores",
    "IncomparableError",
    "MemberFlow",
    "Metrics",
    "ModelScores",
    "Plan",
    "Ranking",
    "Refit",
    "Run",
    "RunComparison",
    "SavedConfig",
    "Score",
    "Scorers",
    "ShiftReport",
    "Study",
    "StudyMember",
    "Table",
    "against_in_words",
    "assess",
    "assess_baselines",
    "best_baseline",
    "check_search",
    "chosen_plan",
    "command_of",
    "compare_runs",
    "diagnosis_files",
    "differing_settings",
    "evaluate",
    "fingerprint_of",
    "first_seed",
    "flow_files",
    "fold_sizes",
    "folds_in_words",
    "folds_won_in_words",
    "inputs_left",
    "interval_of",
    "marks_of_data",
    "marks_of_plan",
    "match_names",
    "match_test",
    "mean_score",
    "members_of",
    "merged_table",
    "method_in_words",
    "name_of_member",
    "nan_mean",
    "number",
    "number_of_settings",
    "optimism_in_words",
    "outcome_in_words",
    "outcome_of",
    "p_in_words",
    "page_of",
    "parameters_in_config",
    "plan",
    "prediction_table",
    "reach_in_words",
    "read_diagnosis",
    "read_shift",
    "refuse_missing",
    "refuse_other",
    "refuse_uneven",
    "report_diagnosis",
    "report_flow",
    "report_shift",
    "run_facts",
    "run_files",
    "save_diagnosis",
    "save_shift",
    "saved_config",
    "score_baselines",
    "score_bounds",
    "score_number",
    "scorers_for",
    "search",
    "series_in",
    "set_aside_in_words",
    "shared_with",
    "table_bytes",
    "train",
    "validation_score",
    "value_in_words",
    "varied",
    "with_seed",
]
