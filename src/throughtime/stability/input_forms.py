"""The forms in which a recurrent layer takes series: padded, either axis first, packed, or one without a batch axis."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


@dataclass(frozen=True, eq=False)
class InputForm:
    """How a layer was given its input, and so how it returns its outputs.

    Parameters
    ----------
    input
        What it was given.
    batch_first
        The layer's.
    """

    input: Tensor | PackedSequence
    batch_first: bool

    @property
    def alone(self) -> bool:
        """Whether it was one series without a batch axis."""
        return isinstance(self.input, Tensor) and self.input.dim() == 2

    @property
    def order(self) -> Int[Tensor, "series"] | None:
        """Where packed series were sorted: the place of each among the sorted ones."""
        return self.input.unsorted_indices if isinstance(self.input, PackedSequence) else None

    def padded(self, y: Tensor) -> Float[Tensor, "time series _"]:
        """The layer's input or outputs (of packed series their ``data``), time first, series in their own order."""
        if isinstance(self.input, PackedSequence):
            return pad_packed_sequence(PackedSequence(y, *self.input[1:]))[0]
        return self.time_first(y)

    def as_given(self, y: Float[Tensor, "time series _"], lengths: Int[Tensor, "series"]) -> Tensor | PackedSequence:
        """The way back."""
        if not isinstance(self.input, PackedSequence):
            return self.time_as_given(y)
        order = self.input.sorted_indices
        if order is not None:
            y, lengths = y[:, order], lengths[order]
        return PackedSequence(pack_padded_sequence(y, lengths.cpu()).data, *self.input[1:])

    def time_first(self, y: Tensor) -> Float[Tensor, "*layer_direction time series _"]:
        """What is padded, as states at every step are though the series come packed."""
        if isinstance(self.input, PackedSequence):
            return y
        return y.unsqueeze(-2) if self.alone else y.transpose(-3, -2) if self.batch_first else y

    def time_as_given(self, y: Float[Tensor, "*layer_direction time series _"]) -> Tensor:
        """The way back."""
        return y.squeeze(-2) if self.alone else self.time_first(y)


def data_of(y: Tensor | PackedSequence) -> Tensor:
    """The tensor in what a layer takes or returns."""
    return y.data if isinstance(y, PackedSequence) else y
