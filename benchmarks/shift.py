"""Is a shift found, named, and put right? On planted shifts, digits and real data, beside peers on the same arrays.

``python benchmarks/shift.py`` measures every part, writes the rows of each, as it goes, to
``results/shift_PART_cases.csv`` and what they come to, to ``results/shift_PART.csv``; README.md says how to read them.
``--resume`` keeps the rows that are there; ``--rounds N`` takes N seeds of each kind; ``--seeds held-out`` is for the
last run, once rules are settled.
"""

import argparse
import csv
import itertools
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import sklearn
import torch

from recording import RESULTS, cpu_model, write_rows
from shifts import PARTS


def measured(part: str, job: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The rows of one job, beginning with what it is."""
    own = PARTS[part]
    return [dict(zip(own.columns, job, strict=True)) | row for row in own.measure(*job)]


def run(part: str, seeds: str, rounds: int | None, processes: int, resume: bool) -> None:
    """Measure what is left of a part, and write both of its files."""
    own, cases = PARTS[part], RESULTS / f"shift_{part}_cases.csv"
    rows: list[dict[str, Any]] = []
    if resume and cases.exists():
        with cases.open(newline="") as file:
            rows = list(csv.DictReader(file))
    done = {(row["seeds"], *(row[name] for name in own.columns)) for row in rows}
    jobs = [job for job in own.jobs(seeds, rounds) if (seeds, *map(str, job)) not in done]
    begin = time.perf_counter()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(measured, part, job): job for job in jobs}
        for count, finished in zip(itertools.count(1), as_completed(running)):
            rows += [{"seeds": seeds} | row for row in finished.result()]
            write_rows(cases.name, rows)
            print(f"{part} {count}/{len(jobs)} {running[finished]} {time.perf_counter() - begin:.0f} s", flush=True)
    machine = {"cpu": cpu_model(), "cores": os.cpu_count(), "torch": torch.__version__, "sklearn": sklearn.__version__}
    table = [row | machine for row in own.summary(rows)]
    if table:
        write_rows(f"shift_{part}.csv", table)
        for row in table:
            print(*list(row.values())[:9], sep="\t")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--seeds", choices=("development", "held-out"), default="development")
    parser.add_argument("--rounds", "--cases", type=int, metavar="N", help="seeds or rounds of each kind")
    parser.add_argument("--resume", action="store_true", help="keep the rows of results/shift_*_cases.csv")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    for part in options.part or PARTS:
        run(part, options.seeds, options.rounds, 1 if part == "cost" else options.processes, options.resume)


if __name__ == "__main__":
    main()
