"""``throughtime export``: a run's network written so that it runs without this package."""

from pathlib import Path
from typing import Literal

from rich.markup import escape

from throughtime import storage
from throughtime.cli.runs import open_run
from throughtime.cli.screen import console, print_text
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators import SequenceEstimator
from throughtime.export import Contents, contents_of, export_onnx, export_torch
from throughtime.study import Run

Kind = Literal["torch", "onnx"]


def export(
    run: Path, kind: Kind, output: Path | None = None, *, streaming: bool = False, seed: int | None = None
) -> None:
    """Write one of a run's networks that were trained on all series, and print how to load it.

    Parameters
    ----------
    output
        A new directory for torch, a new file for ONNX; beside the run by default.
    seed
        Which network, from 1, where a run has several; the first by default.

    Raises
    ------
    StorageError
        When the run is damaged, or the output exists or cannot be written.
    ParameterError
        For what cannot be exported, and a seed that the run has not.
    """
    if output is None:
        place = run if run.name not in ("", "..") else run.resolve()
        output = place.with_name(f"{place.name}-torch" if kind == "torch" else f"{place.name}.onnx")
    if kind == "torch":
        storage.claim(output)
    else:
        storage.claim_file(output)
    opened = open_run(run)
    model = _network(opened, 1 if seed is None else seed)
    if kind == "torch":
        export_torch(model, output, streaming=streaming)
        lines = _loading_torch(output, contents_of(model), streaming)
    else:
        export_onnx(model, output, streaming=streaming)
        lines = _loading_onnx(output, contents_of(model), streaming)
    which = f", the network of seed {seed or 1} of {opened.seeds}" if opened.seeds > 1 else ""
    needs = "torch" if kind == "torch" else "onnxruntime"
    print_text(f"written: {escape(str(output))}{which}; it needs {needs} alone:")
    console().print("\n".join(["", *(f"    {line}".rstrip() for line in lines)]), soft_wrap=True, markup=False)


def _network(run: Run, seed: int) -> SequenceEstimator:
    """The network of a seed that was trained on all series."""
    if not 1 <= seed <= run.seeds:
        raise ParameterError(f"--seed needs a network of the run, 1 to {run.seeds}, got {seed}")
    if seed == 1:
        return run.estimator
    for member in run.members:
        if (member.seed, member.fold) == (seed - 1, None) and member.estimator is not None:
            return member.estimator
    raise StorageError(f"{run.directory} needs a network of seed {seed} on all series, got none: its training failed")


def _loading_torch(directory: Path, contents: Contents, streaming: bool) -> list[str]:
    """Python that loads the model and predicts."""
    more = "".join(f", {name}={name}" for name in _beside(contents))
    lines = [
        "import sys",
        f"sys.path.insert(0, {str(directory)!r})",
        "from model import load",
        "",
        "model = load()",
        f"model.predict(x, lengths{more})  # x (batch, time, {len(contents.channels)}): raw values, NaN where missing",
    ]
    if contents.classes is not None:
        lines.append(f"model.predict_proba(x, lengths{more})  # in the order of model.classes")
    if streaming:
        lines += [
            "state = model.start(batch)",
            f"outputs, state = model.step(x, state{more})  # the next step, or more, of each series",
        ]
    return lines


def _loading_onnx(path: Path, contents: Contents, streaming: bool) -> list[str]:
    """Python that loads the model and predicts."""
    lines = ["import onnxruntime", "", f"session = onnxruntime.InferenceSession({str(path)!r})"]
    if streaming:
        return [
            *lines,
            "[(one.name, one.shape, one.type) for one in session.get_inputs()]  # the states are zeros at first",
            "[one.name for one in session.get_outputs()]  # next_h0 is what to give as h0 next, and so on",
        ]
    given = ", ".join(f'"{name}": {name}' for name in ("x", "lengths", *_beside(contents)))
    size = len(contents.channels)
    return [
        *lines,
        f"session.run(None, {{{given}}})  # x (batch, time, {size}): float64, raw values, NaN where missing",
    ]


def _beside(contents: Contents) -> list[str]:
    """What a model takes beside x and lengths."""
    clock = contents.clock in ("days", "numbers")
    return [name for name, there in (("static", bool(contents.static)), ("clock", clock)) if there]
