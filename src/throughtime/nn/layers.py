"""RNN, GRU and LSTM: torch's layers to the letter, and beyond them ragged lengths, noise inside the steps, all states.

``CellRNN`` is the same of any ``CellSpec``.

``trace_layers`` is the computation, with a member axis; the modules are its one-member face.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from throughtime.kernels import (
    CELLS,
    CellSpec,
    DeltaNorms,
    StepNoise,
    find_cell,
    forward_alone,
    is_tracing,
    recurrent,
    takes_alone,
)
from throughtime.nn.arguments import (
    as_lengths,
    as_states,
    check_autocast,
    check_axes,
    check_directions,
    check_input,
    check_rates,
    check_start,
    check_time,
    check_weights,
)
from throughtime.nn.autocast import autocast_dtypes
from throughtime.nn.initializers import draw_layers
from throughtime.nn.noise import Draw, NoiseRates, draw_kept, draw_mask
from throughtime.nn.recorded_calls import RecordedCall
from throughtime.nn.recording import find_proxy, record_call, record_op
from throughtime.nn.recurrence import by_place, ending, layer_directions, trace_layers
from throughtime.nn.schemes import SCHEMES, Init, scheme_of
from throughtime.nn.unrolled import States

#: torch's own classes: a program may put ours in their place later (``torch.nn.GRU = throughtime.nn.GRU``).
TorchRNN, TorchGRU, TorchLSTM = nn.RNN, nn.GRU, nn.LSTM


class RecurrentLayer(nn.Module):
    """What the layers share: see ``forward`` for what they are called with."""

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int
    variational_dropout: float
    recurrent_dropout: float
    candidate_dropout: float
    zoneout: float
    cell_zoneout: float
    weight_ih_l0: nn.Parameter
    #: how the weights start, a name or a ``Scheme``
    init: Init = "torch"
    _spec: CellSpec
    #: where each call leaves what its backward pass will know of the gradients at the states; ``None``: nowhere
    recorded: list[RecordedCall] | None = None

    #: What torch's layers say of themselves, and ours too.
    __constants__ = nn.RNNBase.__constants__
    # torch's own functions: they read the names that both have
    check_input = nn.RNNBase.check_input
    check_hidden_size = nn.RNNBase.check_hidden_size
    check_forward_args = nn.RNNBase.check_forward_args
    get_expected_hidden_size = nn.RNNBase.get_expected_hidden_size
    permute_hidden = nn.RNNBase.permute_hidden

    def __init__(
        self,
        twin: nn.RNNBase,
        device: torch.device | str | int | None,
        dtype: torch.dtype | None,
        rates: NoiseRates,
        init: Init,
        spec: CellSpec | None = None,
    ) -> None:
        super().__init__()
        self.init = init
        check_directions(twin.bidirectional)
        # torch's own layer, without memory: it has refused what torch refuses, and names its weights
        for name in self.__constants__:
            setattr(self, name, getattr(twin, name))
        if spec is not None:
            self.mode, self._spec = CellRNN.__name__, spec
        check_rates(self.spec, type(twin).__name__ if spec is None else spec.name, rates)
        torchs = [name for name, _ in twin.named_parameters()]
        #: the names of all weights, torch's in torch's order, after those of each place the cell's own
        self.weight_names = tuple(
            name
            for place in layer_directions(self.num_layers, self.bidirectional)
            for name in (
                *(name for name in torchs if name.endswith(ending(*place))),
                *(name + ending(*place) for name in self.spec.unit_weights),
            )
        )
        for name, size in zip(self.weight_names, self._weight_sizes(), strict=True):
            self.register_parameter(name, nn.Parameter(torch.empty(size, device=device, dtype=dtype)))
        for name in NoiseRates.__annotations__:
            setattr(self, name, float(cast(dict[str, float], rates).get(name, 0)))
        #: where the masks come from; who stacks layers puts a source of each member's own here
        self.draw: Draw = draw_mask
        self.reset_parameters()

    @property
    def spec(self) -> CellSpec:
        """The cell."""
        return CELLS[self.mode.lower()]

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _all_weights(self) -> list[list[str]]:
        ends = [ending(*place) for place in layer_directions(self.num_layers, self.bidirectional)]
        return [[name for name in self.weight_names if name.endswith(end)] for end in ends]

    @property
    def _flat_weights_names(self) -> list[str]:
        return list(self.weight_names)

    @property
    def _flat_weights(self) -> tuple[Tensor | None, ...]:
        """All weights as they are now; no list, for what is written into torch's takes effect and could not here."""
        return tuple(getattr(self, name, None) for name in self.weight_names)

    @_flat_weights.setter
    def _flat_weights(self, weights: Sequence[Tensor | None]) -> None:
        for name, weight in zip(self.weight_names, weights, strict=True):
            if weight is not getattr(self, name, None):
                setattr(self, name, weight)

    def flatten_parameters(self) -> None:
        """Accepted and not needed: the op packs its weights itself."""

    _init_flat_weights = _update_flat_weights = flatten_parameters

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fill the weights by the layer's ``init``, with ``torch`` as torch does, from torch's global generator."""
        scheme = scheme_of(self.init)
        if scheme == SCHEMES["torch"]:
            bound = 1 / math.sqrt(self.hidden_size)
            for weight in self.parameters():
                nn.init.uniform_(weight, -bound, bound)
            return
        sizes = dict(zip(self.weight_names, self._weight_sizes(), strict=True))
        places = by_place(sizes, self.num_layers, self.bidirectional)
        drawn = draw_layers(self.spec, places, 1 + self.bidirectional, scheme)
        for names, values in zip(self._all_weights, drawn, strict=True):
            for name, value in zip(names, values.values(), strict=True):
                getattr(self, name).copy_(value)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | tuple[Tensor, Tensor] | None = None,
        lengths: Tensor | None = None,
        return_states: bool = False,
    ) -> Any:
        """Run the layers over a batch of series.

        Parameters
        ----------
        input
            (time, batch, channel), with ``batch_first`` (batch, time, channel); (time, channel); or a
            ``PackedSequence``.
        hx
            Initial state (layer * direction, batch, unit); for a cell with c, the LSTM, the two of them.
        lengths
            Steps of each series, from 1 to ``time``, in any order; the reverse direction starts at each series' own
            end, what lies beyond it is not read, and the output there is zero.  Under ``vmap`` and in a compiled graph
            their values cannot be looked at and go unchecked.
        return_states
            Whether to give, third, the states of every layer at every step: h, with a c ``(h, c)``, (layer * direction,
            time, batch, unit), with ``batch_first`` (layer * direction, batch, time, unit).

        Returns
        -------
        Outputs and final state, as torch's layers.
        """
        if is_tracing():
            return record_op(self, input, hx, lengths, plain=not (return_states or self._noisy()))
        proxy = find_proxy(input, hx, lengths)
        if proxy is not None:
            return record_call(self, proxy, input, hx=hx, lengths=lengths, return_states=return_states)
        start = None if hx is None else as_states(hx, self.spec)
        y: Tensor | PackedSequence
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError("lengths needs a padded input, got a PackedSequence, which has its own")
            y, end, steps = self._run_packed(input, start, return_states)
        else:
            check_axes(self.mode.partition("_")[0], input, start)
            run = self._run_batch if input.dim() == 3 else self._run_alone
            y, end, steps = run(input, start, lengths, return_states)
        if len(end) == 1:
            return (y, end[0], steps[0]) if return_states else (y, end[0])
        return (y, end, steps) if return_states else (y, end)

    def _run_alone(
        self, input: Tensor, start: States | None, lengths: Tensor | None, every: bool
    ) -> tuple[Tensor, States, States]:
        """One series without a batch axis."""
        at = 0 if self.batch_first else 1
        start = None if start is None else tuple(state.unsqueeze(1) for state in start)
        lengths = None if lengths is None else torch.as_tensor(lengths).reshape(-1)
        y, end, steps = self._run_batch(input.unsqueeze(at), start, lengths, every)
        return y.squeeze(at), tuple(s.squeeze(1) for s in end), tuple(s.squeeze(1 + at) for s in steps)

    def _run_batch(
        self, input: Tensor, start: States | None, lengths: Tensor | None, every: bool
    ) -> tuple[Tensor, States, States]:
        x = input.transpose(0, 1) if self.batch_first else input
        check_input(input, 3, self.input_size, self.weight_ih_l0)
        y, end, steps = self._run(x, start, lengths, every)
        if self.batch_first:
            y, steps = y.transpose(0, 1), tuple(states.transpose(1, 2) for states in steps)
        return y, end, steps

    def _run_packed(
        self, input: PackedSequence, start: States | None, every: bool
    ) -> tuple[PackedSequence, States, States]:
        """Series packed step by step, the longest first; states are in the order they had before."""
        check_input(input.data, 2, self.input_size, self.weight_ih_l0)
        x, lengths = pad_packed_sequence(PackedSequence(input.data, input.batch_sizes))
        if start is not None:
            check_start(start, self._start_sizes(x.shape[1]), input.data)
            start = _reorder(start, 1, input.sorted_indices)
        y, end, steps = self._run(x, start, lengths.to(x.device), every, input.batch_sizes)
        packed = pack_padded_sequence(y, lengths)
        return (
            PackedSequence(packed.data, input.batch_sizes, input.sorted_indices, input.unsorted_indices),
            _reorder(end, 1, input.unsorted_indices),
            _reorder(steps, 2, input.unsorted_indices),
        )

    def _run(
        self,
        x: Tensor,
        start: States | None,
        lengths: Tensor | None,
        every: bool,
        batch_sizes: Tensor | None = None,
    ) -> tuple[Tensor, States, States]:
        """The layers on (time, batch, channel), in torch's axis order; series that came packed have ``batch_sizes``."""
        if torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type):
            return self._run_autocast(x, start, lengths, every, batch_sizes)
        time, batch, _ = x.shape
        names = self.weight_names
        parameters = self._parameters  # past Module.__getattr__, which takes as long as all that is checked here
        own: list[Any] = [parameters[name] if name in parameters else getattr(self, name) for name in names]
        further = self.bidirectional or self.proj_size or every or self.recorded is not None
        one_layer = self.num_layers == 1 and not further and batch > 0
        if one_layer and lengths is None and time > 0 and not self._noisy():
            spec = self.spec
            given = own if start is None else [*own, *start]
            if spec.native and self._fits_alone(spec, own, start, batch) and takes_alone(x, *given):
                y, *end = forward_alone(spec.native, x, own, start or ())
                return y, tuple(end), ()
        if start is not None:
            check_start(start, self._start_sizes(batch), x)
        check_weights(names, own, self._weight_sizes())
        check_time(x, time, own[0])
        weights = [weight.unsqueeze(0) for weight in own]
        lengths = as_lengths(lengths, time, batch, x)
        x, masks = self._drop_inputs(x, batch_sizes)
        noise = self._noise(x)
        if one_layer and not noise:
            # The op alone, whose member axis is torch's of layers and directions: the way round costs more than a step.
            matrices = 4 if self.bias else 2
            w_ih, w_hh, b_ih, b_hh = (*weights[:matrices], None, None)[:4]
            h0, c0 = (*(start or ()), None, None)[:2]
            y, *end = recurrent(
                self.spec,
                x.unsqueeze(0),
                lengths.unsqueeze(0),
                w_ih,
                w_hh,
                b_ih,
                b_hh,
                h0,
                c0,
                unit_weights=weights[matrices:],
            )
            return y.squeeze(0).contiguous(), tuple(state.contiguous() for state in end), ()
        deltas = []
        if self.recorded is not None:
            deltas = [DeltaNorms() for _ in layer_directions(self.num_layers, self.bidirectional)]
        run = trace_layers(
            self.spec,
            dict(zip(names, weights, strict=True)),
            x.unsqueeze(0),
            lengths.unsqueeze(0),
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            start=None if start is None else [state.unsqueeze(0) for state in start],
            masks=masks,
            noise=noise,
            deltas=deltas,
            cells=every and "c" in self.spec.states,
        )
        if self.recorded is not None:
            self.recorded.append(RecordedCall(run.ends, deltas))
        steps = tuple(torch.stack([s[0] for s in states]) for states in zip(*run.steps, strict=True)) if every else ()
        return run.outputs[0].contiguous(), tuple(state[0].contiguous() for state in run.ends), steps

    def _run_autocast(
        self,
        x: Tensor,
        start: States | None,
        lengths: Tensor | None,
        every: bool,
        batch_sizes: Tensor | None,
    ) -> tuple[Tensor, States, States]:
        """``_run`` in the weights' precision, its results rounded to the dtypes that torch gives under autocast."""
        weight = self.weight_ih_l0.dtype
        check_autocast(x, start, weight)
        cell = x.dtype if start is None else start[-1].dtype
        dtypes = autocast_dtypes(self.mode, x, cell, packed=batch_sizes is not None, projected=self.proj_size > 0)
        start = None if start is None else tuple(state.to(weight) for state in start)
        with torch.autocast(x.device.type, enabled=False):
            y, end, steps = self._run(x.to(weight), start, lengths, every, batch_sizes)
        return (
            y.to(dtypes[0]),
            tuple(state.to(dtype) for state, dtype in zip(end, dtypes, strict=False)),
            tuple(states.to(dtype) for states, dtype in zip(steps, dtypes, strict=False)),
        )

    def _noisy(self) -> bool:
        """Whether anything but the weights acts on a single layer."""
        training = self.training and (self.variational_dropout or self.recurrent_dropout or self.candidate_dropout)
        return bool(training or self.zoneout or self.cell_zoneout)

    def _fits_alone(self, spec: CellSpec, own: list[Any], start: States | None, batch: int) -> bool:
        """Whether the weights of a lone layer, and its initial states, are of its sizes; spelled out, as it is hot."""
        units = self.hidden_size
        rows = len(spec.gates) * units
        try:
            fits: bool = own[0].shape == (rows, self.input_size) and own[1].shape == (rows, units)
            if fits and self.bias:
                fits = own[2].shape == own[3].shape == (rows,)
        except AttributeError:  # no tensor at all, which check_weights refuses
            return False
        if start is not None and fits:
            fits = [state.shape for state in start] == self._start_sizes(batch)
        return fits

    def _weight_sizes(self) -> list[tuple[int, ...]]:
        """The shapes of all weights, in the order of their names."""
        rows, width = len(self.spec.gates) * self.hidden_size, self.proj_size or self.hidden_size
        shared: list[tuple[int, ...]] = [(rows, width)]
        if self.bias:
            shared += [(rows,), (rows,)]
        if self.proj_size:
            shared.append((width, self.hidden_size))
        shared += [(self.hidden_size,) for _ in self.spec.unit_weights]
        directions = 1 + self.bidirectional
        above: list[tuple[int, ...]] = [(rows, directions * width), *shared]
        return [(rows, self.input_size), *shared] * directions + above * directions * (self.num_layers - 1)

    def _start_sizes(self, batch: int) -> list[tuple[int, int, int]]:
        places = self.num_layers * (1 + self.bidirectional)
        sizes = [(places, batch, self.proj_size or self.hidden_size)]
        return [*sizes, (places, batch, self.hidden_size)] if "c" in self.spec.states else sizes

    def _drop_inputs(self, x: Tensor, batch_sizes: Tensor | None) -> tuple[Tensor, list[Tensor | None]]:
        """The first layer's inputs after dropout, and what the others' are multiplied with (member, time, ...)."""
        _, batch, channels = x.shape
        width = (self.proj_size or self.hidden_size) * (1 + self.bidirectional)
        masks: list[Tensor | None] = [None] * (self.num_layers - 1)
        if not self.training:
            return x, masks
        if self.dropout:
            masks = [self._drop(x, width, batch_sizes) for _ in masks]
        if rate := self.variational_dropout:
            x = x * self.draw(x, (1, batch, channels), rate)
            for layer, mask in enumerate(masks):
                input_mask = self.draw(x, (1, 1, batch, width), rate)
                masks[layer] = input_mask if mask is None else mask * input_mask
        return x, masks

    def _drop(self, x: Tensor, width: int, batch_sizes: Tensor | None) -> Tensor:
        """torch's dropout of what one layer hands to the next: of packed series torch draws the packed steps only."""
        if batch_sizes is None:
            return self.draw(x, (1, *x.shape[:2], width), self.dropout)
        (packed,) = self.draw(x, (1, int(batch_sizes.sum()), width), self.dropout)
        return pad_packed_sequence(PackedSequence(packed, batch_sizes))[0].unsqueeze(0)

    def _noise(self, x: Tensor) -> list[StepNoise]:
        """What acts inside the steps of each layer and direction."""
        time, batch, _ = x.shape
        recurrent, candidate = (self.recurrent_dropout, self.candidate_dropout) if self.training else (0.0, 0.0)
        cell_zoneout = self.cell_zoneout if "zoneout_c" in self.spec.noise else 0.0
        if not (recurrent or candidate or self.zoneout or cell_zoneout):
            return []
        h, c = (1, batch, self.proj_size or self.hidden_size), (1, time, batch, self.hidden_size)
        return [
            StepNoise(
                recurrent=self.draw(x, h, recurrent) if recurrent else None,
                candidate=self.draw(x, c, candidate) if candidate else None,
                zoneout_h=self._kept(x, (1, time, *h[1:]), self.zoneout),
                zoneout_c=self._kept(x, c, cell_zoneout),
            )
            for _ in layer_directions(self.num_layers, self.bidirectional)
        ]

    def _kept(self, x: Tensor, shape: tuple[int, ...], rate: float) -> Tensor | None:
        """Which part of a state zoneout keeps: drawn while training, else its expectation."""
        if not rate:
            return None
        return draw_kept(self.draw, x, shape, rate) if self.training else x.new_tensor(rate).expand(shape)

    def extra_repr(self) -> str:
        """What torch prints, and the noise."""
        parts = [str(self.input_size), str(self.hidden_size)]
        plain: dict[str, Any] = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        plain |= {"bidirectional": False, **dict.fromkeys(NoiseRates.__annotations__, 0.0)}
        parts += [f"{name}={getattr(self, name)}" for name, value in plain.items() if getattr(self, name) != value]
        return ", ".join(parts)


class RNN(RecurrentLayer):
    """Elman network: ``torch.nn.RNN``, with what ``RecurrentLayer`` adds.

    ``noise`` is of ``NoiseRates``; ``init`` is a ``Scheme``, or the name of one, by which the weights start.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        init: Init = "torch",
        **noise: Unpack[NoiseRates],
    ) -> None:
        twin = TorchRNN(
            input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device="meta"
        )
        super().__init__(twin, device, dtype, noise, init)
        self.nonlinearity = nonlinearity


class GRU(RecurrentLayer):
    """Gated recurrent unit: ``torch.nn.GRU``, with what ``RecurrentLayer`` adds; for the options see ``RNN``."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        init: Init = "torch",
        **noise: Unpack[NoiseRates],
    ) -> None:
        twin = TorchGRU(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device="meta")
        super().__init__(twin, device, dtype, noise, init)


class LSTM(RecurrentLayer):
    """Long short-term memory: ``torch.nn.LSTM``, with what ``RecurrentLayer`` adds; for the options see ``RNN``."""

    check_forward_args = nn.LSTM.check_forward_args  # type: ignore[assignment]
    get_expected_cell_size = nn.LSTM.get_expected_cell_size
    permute_hidden = nn.LSTM.permute_hidden  # type: ignore[assignment]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        init: Init = "torch",
        **noise: Unpack[NoiseRates],
    ) -> None:
        twin = TorchLSTM(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device="meta"
        )
        super().__init__(twin, device, dtype, noise, init)


class CellRNN(RecurrentLayer):
    """Layers of any cell, as ``RecurrentLayer`` has it; for the options see ``RNN``.

    Parameters
    ----------
    cell
        A ``throughtime.kernels.CellSpec``, or the name of one of ``throughtime.kernels.CELLS``.
    """

    def __init__(
        self,
        cell: CellSpec | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        init: Init = "torch",
        **noise: Unpack[NoiseRates],
    ) -> None:
        sizes = input_size, hidden_size, num_layers, "tanh", bias, batch_first, dropout, bidirectional
        super().__init__(TorchRNN(*sizes, device="meta"), device, dtype, noise, init, find_cell(cell))

    @property
    def spec(self) -> CellSpec:
        """The cell."""
        return self._spec

    def extra_repr(self) -> str:
        """The cell's name where the class has none, what torch prints, and the noise."""
        name = f"{self.spec.name}, " if type(self) is CellRNN else ""
        return name + super().extra_repr()


class LinearRNN(CellRNN):
    """``h' = W x + U h``: an Elman network without activation."""

    def __init__(self, input_size: int, hidden_size: int, *sizes: Any, **options: Any) -> None:
        super().__init__("linear", input_size, hidden_size, *sizes, **options)


class PeepholeLSTM(CellRNN):
    """LSTM whose gates see c through diagonal weights (Gers & Schmidhuber 2000).

    Beside the LSTM's weights each layer and direction has ``weight_ci``, ``weight_cf`` and ``weight_co``, (unit,).
    """

    def __init__(self, input_size: int, hidden_size: int, *sizes: Any, **options: Any) -> None:
        super().__init__("peephole_lstm", input_size, hidden_size, *sizes, **options)


#: The layers of the package's cells.
_LAYERS: dict[str, Callable[..., RecurrentLayer]] = {
    "rnn_tanh": RNN,
    "rnn_relu": partial(RNN, nonlinearity="relu"),
    "gru": GRU,
    "lstm": LSTM,
    "linear": LinearRNN,
    "peephole_lstm": PeepholeLSTM,
}


def layer_of(cell: CellSpec, input_size: int, hidden_size: int, num_layers: int, **options: Any) -> RecurrentLayer:
    """A layer of a cell: the class that is named after it, if there is one."""
    known = CELLS.get(cell.name) == cell
    made: Callable[..., RecurrentLayer] = _LAYERS[cell.name] if known else partial(CellRNN, cell)
    return made(input_size, hidden_size, num_layers, **options)


def _reorder(states: States, axis: int, order: Tensor | None) -> States:
    return states if order is None else tuple(state.index_select(axis, order) for state in states)
