"""All of a member's weights in one row."""

import torch

from throughtime.training.layout import ALIGNMENT, Layout

SHAPES = {"a": (3, 5), "b": (16,), "c": (1,), "d": (2, 17)}


def test_every_tensor_has_its_own_aligned_place_in_the_row():
    layout = Layout(SHAPES)
    rows = torch.zeros(2, layout.width)
    views = layout.views(rows)
    assert {name: tuple(view.shape) for name, view in views.items()} == {n: (2, *s) for n, s in SHAPES.items()}
    for number, view in enumerate(views.values(), 1):
        assert (view == 0).all()  # nothing written through an earlier view lies here
        view.fill_(number)
        assert view.storage_offset() % ALIGNMENT == 0
    assert layout.width % ALIGNMENT == 0
    assert rows.count_nonzero() == 2 * sum(torch.Size(shape).numel() for shape in SHAPES.values())


def test_what_is_flattened_is_read_back_and_the_room_between_is_zero():
    layout = Layout(SHAPES)
    tensors = {name: torch.randn(3, *shape) for name, shape in SHAPES.items()}
    rows = layout.flatten(list(tensors.values()))
    for name, view in layout.views(rows).items():
        assert torch.equal(view, tensors[name])
        view.zero_()
    assert not rows.any()
