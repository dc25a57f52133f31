"""The network unrolled through time, on a series that is made up: a run keeps no series."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from throughtime.data import Sequences
from throughtime.errors import ParameterError
from throughtime.estimators import module_call
from throughtime.report.description import described
from throughtime.report.parts import Absent, Figure, Part, printable
from throughtime.report.subject import Subject
from throughtime.stability import unroll

#: Steps that are unrolled, and columns that they are drawn in.
MOST_STEPS, COLUMNS = 48, 16


def unrolled(subject: Subject) -> Sequence[Part]:
    """States, weights and gradients, step by step."""
    run = subject.run
    facts, model = described(run), run.estimator
    if facts is None:
        return [Absent("This run, of an early version, does not describe its data.", "throughtime flow RUN --out FLOW")]
    steps = int(min(MOST_STEPS, max(2, facts.lengths.median))) + model.horizon_
    rng = np.random.default_rng(0)
    ends = [facts.range_by_channel.get(name) or (0.0, 0.0) for name in facts.channels]
    values = rng.uniform([low for low, _ in ends], [high for _, high in ends], (steps, len(ends)))
    static = np.zeros((1, model.n_static_)) if model.n_static_ else None
    names = model.static_names_in_.tolist() if hasattr(model, "static_names_in_") else None
    X = Sequences.from_arrays(
        [values],
        channel_names=run.config["channels"],
        static=static,
        static_names=names,
    )
    call = module_call(model, X)
    lengths = call.lengths.tolist()

    def of_last_step(output: Tensor) -> Tensor:
        return (output[:, lengths[0] - 1] if model.by_step_ else output).square().sum()

    try:
        graph = unroll(call.module, (call.x, call.lengths), loss=of_last_step)
    except ParameterError as error:
        return [Absent(f"The network could not be unrolled: {error}.")]
    name = run.metrics.models[-1].name
    _, _, what = graph.title.partition(" over ")
    graph = replace(graph, title=f"{name} over {what}".replace(f" of {name.lower()},", f" of {name},"))
    title = f"{name} unrolled through time"
    words = (
        f"{lengths[0]} steps of a made-up series, each channel drawn evenly from its range, since a run keeps no "
        "series. Colors are norms of the gradient of the last output squared. throughtime flow RUN --out FLOW "
        "draws the network on the run's own series."
    )
    svg = printable(graph.to_svg(columns=COLUMNS))
    return [Figure(svg, title, f"{title}. {words} {graph.depth}", words, wide=True)]
