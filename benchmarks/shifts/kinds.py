"""Planted shifts and what they are called: with labels and without, beside tests that others offer.

``kinds`` are of classes; ``numbers`` and ``steps`` of a number per series and per step.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from shift_cases import DEVELOPMENT, HELD_OUT, KINDS, SIZES, TargetForm, case
from shift_references import embedded, reference_for

from peers.shift_tests import detectshift_p_values, steps_p_value
from shifts.part import Part, Row, below, fraction
from throughtime.shift import ShiftVerdict, diagnose_shift

TESTS = ("X", "Y", "concept", "Y given X", "X given Y")
PEERS = tuple(f"DetectShift {name}" for name in ("X", "Y", "Y given X", "X given Y"))
VERDICTS: tuple[str, ...] = get_args(ShiftVerdict)
ABSTENTIONS = ("undetermined", "insufficient")
#: DetectShift takes seconds a case: it sees the larger size of so many seeds.
SEEN_BY_PEERS = 24
#: Of which size that is, and what labels are hidden of as well.
SEEN_SIZE = 1.5
#: Seeds of numbers and steps.
OTHER_FORMS = 36
LEVEL = 0.05


def seeds(which: str, rounds: int | None) -> list[int]:
    return [*(HELD_OUT if which == "held-out" else DEVELOPMENT)][:rounds]


def measure(form: TargetForm, seed: int) -> list[dict[str, Any]]:
    reference, rows = reference_for(seed, form), []
    for size in SIZES:
        for kind in KINDS:
            one = case(kind, seed, size, form=form)
            deployed = embedded(reference, one.deployed, seed)
            begin = time.perf_counter()
            found = diagnose_shift(reference, deployed, random_state=seed)
            seconds = time.perf_counter() - begin
            without = ""
            if size == SEEN_SIZE:
                without = diagnose_shift(reference, replace(deployed, target=None), random_state=seed).verdict
            p = {test.name: test.p_value for test in found.tests}
            peers: dict[str, float] = {}
            if form == "classes" and size == SEEN_SIZE and seed % 1000 < SEEN_BY_PEERS:
                sides = reference.embedding, deployed
                columns = [np.column_stack([side.summaries, side.outputs]) for side in sides]
                peers = detectshift_p_values(columns[0], sides[0].target, columns[1], sides[1].target, seed)  # type: ignore[arg-type]
            rows.append(
                {
                    "kind": kind,
                    "size": size,
                    "n_deployed": len(deployed),
                    "truth": one.verdict,
                    "verdict": found.verdict,
                    "verdict_of_densities": one.verdict_of_densities,
                    "verdict_without_labels": without,
                }
                | {name: f"{p[name]:.4g}" if name in p else "" for name in TESTS}
                | {"steps": f"{steps_p_value(one.reference.series, one.deployed.series):.4g}"}
                | {name: f"{peers[name]:.4g}" if name in peers else "" for name in PEERS}
                | {"seconds": f"{seconds:.2f}"}
            )
    return rows


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Per size and kind: how often each name is given, how often the right one, and what each test finds."""
    for form, which in sorted({(row["form"], row["seeds"]) for row in rows}):
        for size in SIZES:
            own = [row for row in rows if (row["form"], row["seeds"], float(row["size"])) == (form, which, size)]
            nulls = [row for row in own if row["kind"] == "none"]
            for kind in (*KINDS, "all"):
                some = [row for row in own if kind in (row["kind"], "all")]
                if some:
                    yield {"form": form, "seeds": which, "size": size, "kind": kind} | figures(some, nulls)


def figures(rows: Sequence[Row], nulls: Sequence[Row]) -> dict[str, Any]:
    right = sum(row["verdict"] == row["truth"] for row in rows)
    named = [row for row in rows if row["verdict"] not in ABSTENTIONS]
    found: dict[str, Any] = {"cases": len(rows)}
    found |= {f"right {name}".replace(" value", ""): text for name, text in fraction(right, len(rows)).items()}
    found["right by densities"] = f"{np.mean([row['verdict_of_densities'] == row['truth'] for row in rows]):.3f}"
    found["abstained"] = f"{1 - len(named) / len(rows):.3f}"
    found["right_of_named"] = fraction(right, len(named))["value"]
    found |= {f"named {verdict}": sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
    said = [row["verdict_without_labels"] for row in rows]
    found |= {f"without labels {verdict}": said.count(verdict) if any(said) else "" for verdict in VERDICTS}
    for test in (*TESTS, "steps", *PEERS):
        found[f"{test} at .05"] = fraction(*below(rows, test, LEVEL))["value"]
        found[f"{test} matched"] = fraction(*below(rows, test, matched_level(nulls, test)))["value"]
    return found


def matched_level(nulls: Sequence[Row], test: str) -> float:
    """The largest level at which at most 5 % of the nulls, and never more than the level, are found."""
    p = np.sort([float(row[test]) for row in nulls if row[test] != ""])
    allowed = int(LEVEL * len(p))
    return LEVEL if len(p) <= allowed else min(LEVEL, float(np.nextafter(p[allowed], -1)))


def jobs_of(*forms: TargetForm) -> Any:
    def jobs(which: str, rounds: int | None) -> list[tuple[str, int]]:
        most = rounds or (None if forms == ("classes",) else OTHER_FORMS)
        return [(form, seed) for form in forms for seed in seeds(which, most)]

    return jobs


KIND_PART = Part(("form", "seed"), jobs_of("classes"), measure, summary)
NUMBER_PART = Part(("form", "seed"), jobs_of("numbers", "steps"), measure, summary)
