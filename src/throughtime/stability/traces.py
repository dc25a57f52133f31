"""What a recurrent layer did at each step: its states before and after, and what went into its gates, in float64."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor, nn

from throughtime.errors import DataError
from throughtime.kernels import CellSpec, State, StepNoise
from throughtime.nn import Run, layer_directions, trace_layers
from throughtime.stability.calls import ModelInput, RecurrentCall, recurrent_calls


@dataclass(frozen=True, eq=False)
class StepTrace:
    """One layer in one direction over one call, steps in the order of the data.

    Parameters
    ----------
    label
        The layer and direction in words.
    cell
        What steps.
    reverse
        Whether it runs from each series' own end to its start.
    lengths
        Steps of each series.
    from_x, from_h
        ``W x + b`` and ``U h + b``, gate by gate.
    before, after
        Each state as the step found it and as it left it; zero beyond a series' end.
    w_hh, w_hr
        The recurrent weights, and those of a projection if there is one.
    unit_weights
        The cell's weights per unit.
    zoneout
        Which part of each state stays as it was.
    """

    label: str
    cell: CellSpec
    reverse: bool
    lengths: Int[Tensor, "series"]
    from_x: Float64[Tensor, "time series gate_unit"]
    from_h: Float64[Tensor, "time series gate_unit"]
    before: State
    after: State
    w_hh: Float64[Tensor, "gate_unit output"]
    w_hr: Float64[Tensor, "output unit"] | None
    unit_weights: tuple[Float64[Tensor, "unit"], ...]
    zoneout: tuple[float, ...]

    @property
    def running(self) -> Bool[Tensor, "time series"]:
        """Whether a series has the step."""
        return torch.arange(len(self.from_x))[:, None] < self.lengths

    @property
    def widths(self) -> list[int]:
        """Numbers of each state: h may be narrower than c."""
        return [state.shape[-1] for state in self.before]

    @property
    def order(self) -> range:
        """The steps as they are run."""
        steps = range(len(self.from_x))
        return steps[::-1] if self.reverse else steps


def trace(
    model: nn.Module, x: ModelInput, *, lengths: Int[Tensor, "series"] | Sequence[int] | None = None
) -> list[StepTrace]:
    """Run the recurrent layers of a model on what they are really given, in float64 and evaluation mode.

    Parameters
    ----------
    model, x, lengths
        As ``recurrent_calls`` takes them.

    Returns
    -------
    One per layer and direction, in torch's order, of each call.

    Raises
    ------
    ParameterError, DataError
        As ``recurrent_calls``; and when a state stops being finite, the layer, series and step named.
    """
    with torch.inference_mode(False):  # or autograd refuses what is computed from it
        return [place for call in recurrent_calls(model, x, lengths=lengths) for place in trace_call(call)]


def trace_call(call: RecurrentCall) -> list[StepTrace]:
    """Every layer and direction of a call."""
    layer, weights = call.layer, call.weights
    with torch.no_grad():
        run = run_call(call, call.x)
        found: list[StepTrace] = []
        x = call.x
        above: list[Tensor] = []
        for place, (number, reverse) in enumerate(layer_directions(layer.num_layers, layer.bidirectional)):
            if number and not reverse:
                x, above = torch.cat(above, -1), []
            after = tuple(state[0] for state in run.steps[place])
            above.append(after[0])
            start = tuple(state[place] for state in call.start)
            ending = f"_l{number}" + ("_reverse" if reverse else "")
            own = {name.removesuffix(ending): weight[0] for name, weight in weights.items() if name.endswith(ending)}
            label = call.label(number, reverse)
            found.append(_at_place(call, label, reverse, x, start, after, own))
    return found


def run_call(call: RecurrentCall, x: Float64[Tensor, "time series channel"]) -> Run:
    """The layers of a call, on its own input or another, with all states at every step."""
    return trace_layers(
        call.cell,
        call.weights,
        x[None],
        call.lengths[None],
        num_layers=call.layer.num_layers,
        bidirectional=call.layer.bidirectional,
        start=[state[None] for state in call.start] or None,
        noise=_zoneout(call),
        cells="c" in call.cell.states,
    )


def _rates(call: RecurrentCall) -> tuple[float, ...]:
    """Zoneout of each state; torch's layers have none."""
    layer = call.layer
    return (getattr(layer, "zoneout", 0.0), getattr(layer, "cell_zoneout", 0.0))[: len(call.cell.states)]


def _zoneout(call: RecurrentCall) -> list[StepNoise]:
    rates, layer = _rates(call), call.layer
    if not any(rates):
        return []
    shape = (1, *call.x.shape[:2])
    widths = (layer.proj_size or layer.hidden_size, layer.hidden_size)
    kept = [call.x.new_tensor(rate).expand(*shape, width) for rate, width in zip(rates, widths, strict=False)]
    noise = StepNoise(zoneout_h=kept[0], zoneout_c=kept[1] if len(kept) == 2 else None)
    return [noise] * (layer.num_layers * (1 + layer.bidirectional))


def _at_place(
    call: RecurrentCall,
    label: str,
    reverse: bool,
    x: Float64[Tensor, "time series channel"],
    start: State,
    after: State,
    weights: dict[str, Tensor],
) -> StepTrace:
    cell, lengths = call.cell, call.lengths
    for state in after:
        wrong = (~state.isfinite().all(-1)).nonzero()
        if len(wrong):
            step, series = wrong[-1 if reverse else 0].tolist()
            raise DataError(
                f"a trace of {label} needs finite states, got one that is not at step {step} of series {series}: "
                "the network diverges; try smaller weights"
            )
    before = tuple(_shifted(state, start[k] if start else None, lengths, reverse) for k, state in enumerate(after))
    from_x, from_h = x @ weights["weight_ih"].mT, before[0] @ weights["weight_hh"].mT
    if "bias_ih" in weights:
        from_x, from_h = from_x + weights["bias_ih"], from_h + weights["bias_hh"]
    return StepTrace(
        label,
        cell,
        reverse,
        lengths,
        from_x,
        from_h,
        before,
        after,
        weights["weight_hh"],
        weights.get("weight_hr"),
        tuple(weights[unit] for unit in cell.unit_weights),
        _rates(call),
    )


def _shifted(
    after: Float64[Tensor, "time series unit"],
    start: Float64[Tensor, "series unit"] | None,
    lengths: Int[Tensor, "series"],
    reverse: bool,
) -> Float64[Tensor, "time series unit"]:
    """Each step's state as the step before it, in the order of the run, left it."""
    first = torch.zeros_like(after[:1]) if start is None else start[None]
    if not reverse:
        return torch.cat([first, after[:-1]])
    steps = torch.arange(len(after))[:, None]
    shifted = torch.cat([after[1:], torch.zeros_like(after[:1])])
    return torch.where((steps == lengths - 1)[..., None], first, shifted)
