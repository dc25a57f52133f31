"""The training loop's passes in C++: the stated operations and no others, on every instruction set."""

import numpy as np
import pytest
import torch
from cases import needs_native
from torch import Tensor

from throughtime.kernels import InputNoise, TorchBackend, Update, one_thread, standardize
from throughtime.kernels.native import NativeBackend, gather_standardized, take_step
from throughtime.training.optimizers import BETA1, BETA2, EPSILON, Optimizer

pytestmark = [needs_native, pytest.mark.usefixtures("isa")]

DTYPES = [torch.float32, torch.float64]
#: around a vector, around the piece that a task takes, and beyond two of them
WIDTHS = [1, 7, 16, 33, 4095, 4096, 4097, 9000]


def optimizers(rule: str, members: int, width: int, dtype: torch.dtype) -> tuple[Optimizer, Optimizer, Tensor, Tensor]:
    """Two of the same, weights and gradients of eight steps."""
    torch.manual_seed(width)
    decay, momentum = torch.rand(members, width, dtype=dtype), torch.rand(members, dtype=dtype)
    weights = torch.randn(members, width, dtype=dtype)
    grads = torch.randn(8, members, width, dtype=dtype) * 10.0 ** torch.randint(-9, 3, (8, members, 1))
    return Optimizer(rule, decay, momentum), Optimizer(rule, decay, momentum), weights, grads


class OneByOne:
    """The rules in numpy, whose every operation is rounded once, for one member; torch's own root is not."""

    def __init__(self, rule: str, weights: Tensor, decay: Tensor, momentum: Tensor, lr: Tensor) -> None:
        self.rule, self.taken, self.real = rule, 0, weights.numpy().dtype.type
        self.weights, self.decay = weights.numpy().copy(), decay.numpy()
        self.momentum, self.lr = self.real(momentum), self.real(lr)
        self.first, self.second = np.zeros_like(self.weights), np.zeros_like(self.weights)

    def step(self, grad: Tensor) -> None:
        g, w, real = grad.numpy(), self.weights, self.real
        self.taken += 1
        if self.rule != "adamw":
            g = self.decay * w + g
        if self.rule == "sgd":
            self.first = self.first * self.momentum + g
            self.weights = w - self.first * self.lr
            return
        self.first = self.first * real(BETA1) + g * real(1 - BETA1)
        self.second = self.second * real(BETA2) + g * g * real(1 - BETA2)
        moved = w * (1 - self.lr * self.decay) if self.rule == "adamw" else w
        spread = np.sqrt(self.second) / real((1 - BETA2**self.taken) ** 0.5) + real(EPSILON)
        self.weights = moved - self.first / spread * (self.lr / real(1 - BETA1**self.taken))


@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_step_is_the_rules_single_operations_to_the_bit(rule, dtype, width):
    optimizer, _, weights, grads = optimizers(rule, 3, width, dtype)
    lr, limit = torch.tensor([0.1, 0.003, 1.0], dtype=dtype), torch.full((3,), torch.inf, dtype=dtype)
    alone = [OneByOne(rule, weights[m], optimizer.decay[m], optimizer.momentum[m], lr[m]) for m in range(3)]
    for step, grad in enumerate(grads):
        active = torch.tensor([True, step % 3 > 0, True])
        norms = optimizer.step(weights, grad.clone(), lr, limit, active)
        for m, one in enumerate(alone):
            if active[m]:
                one.step(grad[m])
            assert np.array_equal(weights[m].numpy(), one.weights)
            assert np.array_equal(optimizer.state["exp_avg"][m].numpy(), one.first)
            assert optimizer.state["steps"][m] == one.taken
            if rule != "sgd":
                assert np.array_equal(optimizer.state["exp_avg_sq"][m].numpy(), one.second)
        # the sum of squares is float64's, also for float32
        torch.testing.assert_close(
            norms, grad.double().norm(dim=1).to(dtype), rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=0
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_clipped_step_is_a_step_with_the_clipped_gradient(dtype):
    ours, same, weights, grads = optimizers("adam", 4, 5000, dtype)
    others = weights.clone()
    lr, everyone = torch.full((4,), 0.01, dtype=dtype), torch.ones(4, dtype=torch.bool)
    norms = grads[0].double().norm(dim=1).to(dtype)
    limit = norms * torch.tensor([0.5, 2.0, 1e-3, torch.inf], dtype=dtype)
    found = ours.step(weights, grads[0].clone(), lr, limit, everyone)
    torch.testing.assert_close(found, norms)
    same.step(others, grads[0] * (limit / found).clamp(max=1)[:, None], lr, torch.full_like(lr, torch.inf), everyone)
    assert torch.equal(weights, others)


@pytest.mark.parametrize("size", [1e-30, 1e-25, 1e25])
def test_the_norm_of_a_gradient_is_right_where_the_squares_are_no_float32(size):
    _, _, weights, grads = optimizers("sgd", 3, 5000, torch.float32)
    grad = torch.nn.functional.normalize(grads[0]) * size
    limit = torch.tensor([torch.inf, 2 * size, size / 2])
    optimizer = Optimizer("sgd", torch.zeros_like(weights), torch.zeros(3))
    before = weights.double()
    norms = optimizer.step(weights, grad.clone(), torch.ones(3), limit, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(norms, grad.double().norm(dim=1).float(), rtol=1e-6, atol=0)
    clipped = grad.double() * torch.tensor([1, 1, 0.5])[:, None]
    torch.testing.assert_close(weights.double(), before - clipped)


@pytest.mark.parametrize("width", [7, 9000])
def test_a_step_has_the_same_bits_on_any_number_of_threads_and_in_any_company(width):
    members = 40  # enough numbers for several threads
    _, _, weights, grads = optimizers("adam", members, width, torch.float32)
    decay, momentum = torch.zeros_like(weights), torch.zeros(members)
    lr, limit, everyone = torch.rand(members), torch.rand(members), torch.ones(members, dtype=torch.bool)

    def run(rows: slice, threads: int) -> tuple[Tensor, Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        moved = weights[rows].clone()
        with one_thread():
            norms = Optimizer("adam", decay[rows], momentum[rows]).step(
                moved, grads[0][rows].contiguous(), lr[rows], limit[rows], everyone[rows]
            )
        torch.set_num_threads(before)
        return moved, norms

    together = run(slice(None), 1)
    for rows, threads in ((slice(None), 2), (slice(None), 4), (slice(3, 4), 1), (slice(10, 30), 2)):
        for found, wanted in zip(run(rows, threads), together, strict=True):
            assert torch.equal(found, wanted[rows])


def test_a_gradient_that_is_not_finite_leaves_the_neighbors_alone():
    ours, same, weights, grads = optimizers("adam", 3, 50, torch.float32)
    others = weights[1:].clone()
    grads[0, 0, 3], grads[0, 1] = torch.inf, 0
    lr, limit, everyone = torch.full((3,), 0.01), torch.ones(3), torch.ones(3, dtype=torch.bool)
    norms = ours.step(weights, grads[0].clone(), lr, limit, everyone)
    assert norms[0] == torch.inf
    assert norms[1] == 0
    assert weights[0].isnan().any()
    rest = Optimizer("adam", same.decay[1:], same.momentum[1:])
    rest.step(others, grads[0, 1:].clone(), lr[1:], limit[1:], everyone[1:])
    assert torch.equal(weights[1:], others)
    assert others.isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("columns", [0, 3])
@pytest.mark.parametrize("channels", [1, 4, 12, 33])
def test_a_batch_is_gathered_and_standardized_as_by_torch_to_the_bit(channels, columns, dtype):
    rng = np.random.default_rng(channels)
    lengths = np.array([5, 9, 1, 3])
    starts = np.cumsum(lengths) - lengths
    values = torch.from_numpy(rng.normal(3, 2, (lengths.sum(), channels))).to(dtype)
    values[2, 0], values[4, -1] = torch.nan, torch.inf
    static = torch.from_numpy(rng.normal(size=(4, columns))).to(dtype) if columns else None
    series = torch.tensor([[1, 0, 0], [2, 3, 3]])
    own = torch.from_numpy(lengths)[series] * torch.tensor([[1, 1, 0], [1, 1, 1]])
    shift = torch.from_numpy(rng.normal(size=(2, channels + columns))).to(dtype)
    scale = torch.from_numpy(rng.uniform(0.5, 2, (2, channels + columns))).to(dtype)
    begins = torch.from_numpy(starts)[series]
    x = gather_standardized(9, values, static, begins, own, series, shift, scale)
    plain = torch.full((2, 9, 3, channels + columns), torch.nan, dtype=dtype)
    for m, b in np.ndindex(2, 3):
        steps = int(own[m, b])
        plain[m, :steps, b, :channels] = values[begins[m, b] : begins[m, b] + steps]
        if static is not None:
            plain[m, :steps, b, channels:] = static[series[m, b]]
    assert torch.equal(x, standardize(plain, own, shift, scale))
    if dtype == torch.float64:  # rounded once, after it is centered
        narrow = gather_standardized(9, values, static, begins, own, series, shift, scale, torch.float32)
        assert torch.equal(narrow, x.float())


@pytest.mark.parametrize(
    "dtypes", [(torch.float32,) * 2, (torch.float64,) * 2, (torch.float64, torch.float32)], ids=str
)
def test_noise_is_added_to_channels_that_are_there_by_both_backends_with_the_same_bits(dtypes):
    source, dtype = dtypes
    rng = np.random.default_rng(0)
    lengths, channels, columns = np.array([5, 9, 1, 3]), 3, 2
    values = torch.from_numpy(np.append(rng.normal(3, 2, (lengths.sum(), 5)), [[np.nan] * 5], 0)).to(source)
    values[1, 0] = values[7, 2] = torch.nan
    static = torch.from_numpy(rng.normal(size=(4, columns))).to(source)
    series = torch.tensor([[1, 0, 0], [2, 3, 3], [0, 1, 2]])
    own = torch.from_numpy(lengths)[series] * torch.tensor([[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    begins = torch.from_numpy(np.cumsum(lengths) - lengths)[series]
    shift, scale = (torch.from_numpy(rng.uniform(0.5, 2, (3, 7))).to(source) for _ in range(2))
    # as a call of the kernels has them: for more steps and rows than the batch has, and not for every member
    noise = InputNoise(torch.tensor([1, -1, 0]), torch.from_numpy(rng.normal(size=(2, 11, 4, channels))).to(dtype))
    given = 9, values, static, begins, own, series, shift, scale, dtype
    plain, noisy = (NativeBackend().gather(*given, with_noise) for with_noise in (None, noise))
    assert torch.equal(noisy, TorchBackend().gather(*given, noise))
    wanted = plain.clone()
    for m, of_member in ((0, 1), (2, 0)):
        for b, t in np.ndindex(3, 9):
            for c in range(channels):
                if t < own[m, b] and not values[begins[m, b] + t, c].isnan():
                    wanted[m, t, b, c] += noise.noise[of_member, t, b, c]
    assert torch.equal(noisy, wanted)
    assert torch.equal(noisy[..., channels:], plain[..., channels:])  # flags and static columns
    assert torch.equal(noisy[1], plain[1])


def test_noise_of_fewer_steps_than_a_batch_has_is_refused():
    one, at = torch.ones(2, 1), torch.zeros(1, 1, dtype=torch.int64)
    noise = InputNoise(torch.zeros(1, dtype=torch.int64), torch.zeros(1, 1, 1, 1))
    with pytest.raises(RuntimeError, match=r"noise needs at least 2 steps and 1 rows of at most 1 channels, got"):
        gather_standardized(2, one, None, at, at + 2, at, one[:1], one[:1], torch.float32, noise)


@pytest.mark.usefixtures("types_unchecked")
def test_series_are_not_read_for_a_network_of_more_digits():
    one, at = torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.int64)
    with pytest.raises(RuntimeError, match=r"series of torch\.float32 cannot be read for a network of torch\.float64"):
        gather_standardized(1, one, None, at, at + 1, at, one, one, torch.float64)
    with pytest.raises(RuntimeError, match=r"argument 5 needs a contiguous CPU tensor of torch\.float64"):
        gather_standardized(1, one.double(), None, at, at + 1, at, one, one.double(), torch.float32)


@pytest.mark.usefixtures("types_unchecked")
def test_tensors_that_would_be_read_wrongly_are_refused():
    _, _, weights, grads = optimizers("sgd", 2, 6, torch.float32)
    each, everyone = torch.ones(2), torch.ones(2, dtype=torch.bool)

    def step(grad: Tensor) -> None:
        first, steps = torch.zeros_like(weights), torch.zeros(2, dtype=torch.float64)
        update = Update("sgd", (0.9, 0.99, 1e-8), weights, first, first, None, steps, each, each, each, torch.add)
        take_step(update, grad, everyone)

    step(grads[0])
    for wrong in (grads[0].double(), grads[0].T.contiguous().T):
        with pytest.raises(RuntimeError, match=r"argument 0 needs a contiguous CPU tensor of torch\.float32"):
            step(wrong)
