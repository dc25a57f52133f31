"""A diagnosis written by hand: every kind of effect, a learning curve and a history."""

from dataclasses import replace
from typing import Any

from throughtime.findings import Finding
from throughtime.generalization import Diagnosis, Effect, HistoryCurve, LearningCurve, Remedy
from throughtime.records import Records


def effect(probe: str, cause: str | None, gain: float, half: float, **more: Any) -> Effect:
    """A gain with an interval of twice ``half``."""
    facts: dict[str, Any] = {
        "change": more.pop("change", probe),
        "parameters": {},
        "error": half / 2.5,
        "loss": "log loss",
        "repeats": 2,
        "train_gain": -gain,
    }
    return Effect(probe=probe, cause=cause, gain=gain, low=gain - half, high=gain + half, **(facts | more))


DECAY = effect(
    "weight_decay up", "over-fit", 0.098, 0.047, change="weight_decay 0 to 3", parameters={"weight_decay": 3.0}
)
EFFECTS = Records(
    [
        effect("hidden_size x2", "under-fit", -0.012, 0.041, change="hidden_size 24 to 48", repeats=1),
        effect("hidden_size /4", "over-fit", 0.061, 0.052, change="hidden_size 24 to 6"),
        DECAY,
        effect("max_epochs x3", "not optimized", -0.052, 0.049, change="max_epochs 30 to 90"),
        effect("lr /4", "over-fit", 0.021, 0.044, change="lr 0.04 to 0.01"),
        effect("whole groups", None, -0.004, 0.02, change="folds keep groups whole"),
        effect("permuted labels", None, -0.871, 0.11, change="labels in another order", repeats=1),
    ]
)
CURVE = LearningCurve((24.0, 48.0, 96.0), (0.661, 0.583, 0.512), (0.03, 0.026, 0.022), 0.2, 1.2, 0.3, 0.055, 0.01, 0.14)
HISTORY = HistoryCurve((4, 8, 15), (0.69, 0.52, 0.512), (0.03, 0.02, 0.022), 8)
DIAGNOSIS = Diagnosis(
    verdicts=("over-fit",),
    sentence="The network fits its training series too closely: weight_decay 0 to 3 lowers the log loss by 0.098.",
    remedy=Remedy("weight_decay up", {"weight_decay": 3.0}, 0.098, 0.051, 0.145),
    findings=Records(
        [
            Finding("GEN014", "over-fit", "found", "warning", 0.051, 0.0, "Verdict", "weight_decay up gains", "set it"),
            Finding("GEN017", "gap alone", "clear", "note", 0.1, 1.0, "Verdict", "no gap", ""),
            Finding("GEN010", "leaky", "not applicable", "error", None, 2.5, "Verdict", "no groups were given", ""),
        ]
    ),
    effects=EFFECTS,
    not_measured={"no regularization": "no regularization is set", "lr x4": "2 of 10 networks diverged"},
    loss_name="log loss",
    loss=0.512,
    train_loss=0.021,
    chance=0.693,
    margin=0.035,
    level=0.95,
    units="series",
    n_units=120,
    learning_curve=CURVE,
    history=HISTORY,
    open_question="Whether lr 0.04 to 0.01 helps is open: 6 more repeats would settle it.",
    members=190,
    members_saved=20,
    seconds=12.3,
    out_of_time=False,
)
BARE = replace(DIAGNOSIS, verdicts=("healthy",), remedy=None, learning_curve=None, history=None, open_question="")
