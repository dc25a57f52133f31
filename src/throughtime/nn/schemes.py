"""``Scheme``: how the weights of recurrent layers start, or its name.

References
----------
Xavier: Glorot & Bengio (2010). He: He et al. (2015), https://arxiv.org/abs/1502.01852. Orthogonal: Saxe et al. (2013),
https://arxiv.org/abs/1312.6120. Identity: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941. Chrono: Tallec
& Ollivier (2018), https://arxiv.org/abs/1804.11188. Forget bias: Gers et al. (2000); Jozefowicz et al. (2015).
Critical: Schoenholz et al. (2017), see ``mean_field``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal, get_args

from throughtime.kernels import CELLS, CellSpec
from throughtime.nn.arguments import is_number
from throughtime.nn.mean_field import Activation
from throughtime.parameters import InitName

#: How one matrix starts.
Fill = Literal[
    "torch",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "orthogonal",
    "identity",
    "small_normal",
    "critical",
]
#: How biases start.
Biases = Literal["torch", "zero", "unit_forget", "chrono"]

#: Cells of which ``mean_field`` holds: one activation, and no gates.
ACTIVATIONS: dict[str, Activation] = {"rnn_tanh": "tanh", "rnn_relu": "relu", "linear": "linear"}


@dataclass(frozen=True, repr=False)
class Scheme:
    """How the weights of recurrent layers start.

    Parameters
    ----------
    input, recurrent
        How ``weight_ih`` and ``weight_hh`` start; a projection starts as the latter.  ``torch``: U(+-1/sqrt(units)).
        ``xavier_uniform``: U(+-sqrt(6/(fan_in+fan_out))); ``xavier_normal``: the same variance.  ``he_normal``:
        standard deviation sqrt(2/fan_in); ``he_uniform``: the same variance.  ``orthogonal``: orthonormal rows or
        columns.  ``identity``: ones on the diagonal.  ``small_normal``: standard deviation .001.  ``critical``, of
        recurrent weights and Elman cells alone: Gaussian, scaled so that chi of ``mean_field`` is 1 for input channels
        of mean square 1, as standardized series have it.
    biases
        ``torch``: U(+-1/sqrt(units)).  ``zero``.  ``unit_forget``: zero, but 1 in the forget gate of a cell with a gate
        to keep its state and another to write to it (an LSTM, not a GRU).  ``chrono``: zero, but ln U(1, lag - 1) in
        the gate that keeps the state, and minus that in the one that writes to it, so that memories of 1 to ``lag``
        steps are there from the start.  A cell's weights per unit start as torch's with ``torch``, else at zero.
    forget_bias
        What the two biases of the gate that keeps the state sum to; ``None``: as ``biases`` says.
    lag
        Steps that chrono's memories go up to.
    gain
        What the recurrent weights are multiplied with.
    per_gate
        Whether fans, orthogonality and identity are each gate's own, not those of the stacked matrix.

    Raises
    ------
    ValueError
        For a value that is none, and for a forget bias or lag that ``biases`` has no use for.

    Notes
    -----
    The two biases of a gate add up: what a scheme sets is in ``bias_ih`` whole, and ``bias_hh`` is zero there.

    Examples
    --------
    >>> import torch
    >>> from throughtime.nn import GRU, RNN, Scheme
    >>> long_memory = GRU(3, 8, init=Scheme(biases="chrono", lag=100))
    >>> lively = RNN(3, 8, init=Scheme(gain=1.3))  # tanh shrinks, and a gain makes up for it
    >>> round(torch.linalg.matrix_norm(lively.weight_hh_l0, 2).item(), 4)
    1.3
    """

    input: Fill = "orthogonal"
    recurrent: Fill = "orthogonal"
    biases: Biases = "zero"
    forget_bias: float | None = None
    lag: float | None = None
    gain: float = 1.0
    per_gate: bool = True

    def __post_init__(self) -> None:
        for name, words in (("input", Fill), ("recurrent", Fill), ("biases", Biases)):
            allowed = [word for word in get_args(words) if (name, word) != ("input", "critical")]
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} needs one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not (is_number(self.gain) and self.gain > 0):
            raise ValueError(f"gain needs a finite number above 0, got {self.gain!r}")
        if self.forget_bias is not None and not is_number(self.forget_bias):
            raise ValueError(f"forget_bias needs a finite number or None, got {self.forget_bias!r}")
        if self.forget_bias is not None and self.biases == "chrono":
            raise ValueError(
                f"forget_bias needs biases other than chrono's, which draw it for each unit, got {self.forget_bias!r}"
            )
        if self.lag is not None and self.biases != "chrono":
            raise ValueError(
                f"lag needs biases='chrono', which alone has a use for it, got {self.lag!r} with biases={self.biases!r}"
            )
        if self.lag is not None and not (is_number(self.lag) and self.lag >= 2):
            raise ValueError(f"lag needs a finite number of steps of at least 2, got {self.lag!r}")
        if not isinstance(self.per_gate, bool):
            raise ValueError(f"per_gate needs True or False, got {self.per_gate!r}")

    def __repr__(self) -> str:
        """What is not at its default, as an estimator shows its parameters."""
        own = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        return f"Scheme({', '.join(f'{name}={value!r}' for name, value, default in own if value != default)})"


#: The schemes that have names.
SCHEMES: Mapping[InitName, Scheme] = MappingProxyType(
    {
        "torch": Scheme("torch", "torch", "torch"),
        "keras": Scheme("xavier_uniform", "orthogonal", "unit_forget", per_gate=False),
        "xavier_uniform": Scheme("xavier_uniform", "xavier_uniform"),
        "xavier_normal": Scheme("xavier_normal", "xavier_normal"),
        "he_uniform": Scheme("he_uniform", "he_uniform"),
        "he_normal": Scheme("he_normal", "he_normal"),
        "orthogonal": Scheme("orthogonal", "orthogonal"),
        "identity": Scheme("small_normal", "identity"),
        "critical": Scheme("xavier_normal", "critical"),
        "chrono": Scheme("orthogonal", "orthogonal", "chrono"),
    }
)

Init = InitName | Scheme


def scheme_of(init: Init) -> Scheme:
    """Give the scheme of a name; one that is given as such stays itself."""
    if isinstance(init, Scheme):
        return init
    if not isinstance(init, str) or init not in SCHEMES:
        raise ValueError(f"init needs one of {', '.join(SCHEMES)} or a Scheme, got {init!r}")
    return SCHEMES[init]


def recommended_init(lag: float | None = None) -> Scheme:
    """Give the scheme to try first where gradients have to live long; the defaults stay torch's.

    Parameters
    ----------
    lag
        Steps that the task needs to look back, where that is known or was probed.

    Returns
    -------
    Weights orthogonal per gate; with a lag chrono biases, which need a cell with gates; without one an LSTM's forget
    biases sum to 1. A GRU's z, which writes what it does not keep, then stays at zero: a ``forget_bias`` sets it.

    Examples
    --------
    >>> from throughtime import SequenceClassifier
    >>> SequenceClassifier(cell="lstm", init=recommended_init(lag=100))
    SequenceClassifier(cell='lstm', init=Scheme(biases='chrono', lag=100))
    """
    return Scheme(biases="unit_forget") if lag is None else Scheme(biases="chrono", lag=lag)


def misplaced_init(scheme: Scheme, cell: CellSpec, *, biased: bool = True) -> str | None:
    """What is wrong with a scheme for a cell that lacks what it sets."""
    able = ", ".join(spec.name for spec in CELLS.values() if spec.memory_gates)
    sets = "chrono" if scheme.biases == "chrono" else None if scheme.forget_bias is None else "forget_bias"
    if sets and not cell.memory_gates:
        return f"{sets} needs a cell with a gate that keeps its state ({able})"
    if sets and not biased:
        return f"{sets} needs layers with biases"
    if scheme.recurrent == "critical" and not (cell.name in ACTIVATIONS and CELLS[cell.name] == cell):
        return f"critical needs a cell of one activation, without gates ({', '.join(ACTIVATIONS)})"
    return None
