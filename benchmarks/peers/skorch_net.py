"""The estimators' network, optimizer and schedule in plain torch behind skorch: the same work, step for step."""

from typing import Any

import numpy as np
import torch
from numpy import ndarray
from skorch import NeuralNetClassifier
from skorch.callbacks import GradientNormClipping, LRScheduler
from skorch.helper import SliceDict
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from throughtime import Sequences


class Network(nn.Module):
    """torch's layer, the state where a series ends, a linear output layer."""

    def __init__(self, layer: type[nn.RNNBase], n_inputs: int, hidden_size: int, n_outputs: int, packed: bool) -> None:
        super().__init__()
        self.recurrent: Any = layer(n_inputs, hidden_size)  # type: ignore[call-arg, arg-type]
        self.readout = nn.Linear(hidden_size, n_outputs)
        self.packed = packed

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Logits; skorch's classifier is given a criterion that takes them."""
        x = x.transpose(0, 1)  # skorch counts along the first axis
        if self.packed:
            _, end = self.recurrent(pack_padded_sequence(x, lengths, enforce_sorted=False))
            h = (end[0] if isinstance(end, tuple) else end)[-1]
        else:
            h = self.recurrent(x)[0][lengths - 1, torch.arange(x.shape[1])]
        return self.readout(h)  # type: ignore[no-any-return]


def collate(batch: list[tuple[dict[str, Any], Any]]) -> tuple[dict[str, Tensor], Tensor]:
    """One padded batch; every series is padded to the longest of all beforehand, and cut here."""
    lengths = torch.tensor([int(one["lengths"]) for one, _ in batch])
    x = torch.from_numpy(np.stack([one["x"] for one, _ in batch])[:, : int(lengths.max())])
    return {"x": x, "lengths": lengths}, torch.tensor([int(y) for _, y in batch])


class Standardized(NeuralNetClassifier):  # type: ignore[misc]
    """skorch's classifier, fitted on channels scaled by its own training series."""

    def fit(self, X: dict[str, ndarray], y: ndarray, **fit_params: Any) -> Any:
        """Take mean and deviation over the steps that are there, once."""
        inside = np.arange(X["x"].shape[1]) < X["lengths"][:, None]
        steps = X["x"][inside]
        self.shift_, self.scale_ = steps.mean(0), steps.std(0)
        return super().fit(self._scaled(X), y, **fit_params)

    def predict(self, X: dict[str, ndarray]) -> ndarray:
        """Classes."""
        found: ndarray = super().predict(self._scaled(X))
        return found

    def _scaled(self, X: dict[str, ndarray]) -> Any:
        return SliceDict(x=(X["x"] - self.shift_) / self.scale_, lengths=X["lengths"])


def arrays(X: Sequences) -> Any:
    """What skorch and scikit-learn can index: series padded to the longest, and their lengths."""
    padded = np.zeros((len(X), int(X.lengths.max()), X.n_channels), np.float32)
    for row, series in zip(padded, (X[i] for i in range(len(X))), strict=True):
        row[: len(series)] = series
    return SliceDict(x=padded, lengths=X.lengths.copy())


def classifier(cell: str, n_inputs: int, n_outputs: int, hidden_size: int, epochs: int, packed: bool) -> Any:
    """An estimator with Adam at .01, a cosine an epoch, gradients clipped to 1, that prints and notes nothing."""
    quiet = ("epoch_timer", "train_loss", "valid_loss", "valid_acc", "print_log")
    return Standardized(
        Network,
        module__layer={"gru": nn.GRU, "lstm": nn.LSTM}[cell],
        module__n_inputs=n_inputs,
        module__hidden_size=hidden_size,
        module__n_outputs=n_outputs,
        module__packed=packed,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        batch_size=32,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=collate,
        iterator_valid__collate_fn=collate,
        train_split=None,
        callbacks=[
            ("clip", GradientNormClipping(1.0)),
            ("schedule", LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=epochs)),
        ],
        classes=list(range(n_outputs)),
        verbose=0,
        **{f"callbacks__{name}": None for name in quiet},
    )
