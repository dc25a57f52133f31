"""What tests call the columns that they compare: outputs, targets and errors of a network, and squares."""

from collections.abc import Sequence

from throughtime.shift.records import Embedding


def numbered(word: str, count: int) -> list[str]:
    """``word 0``, ``word 1``, ..."""
    return [f"{word} {number}" for number in range(count)]


def with_squares(names: Sequence[str]) -> list[str]:
    """The names, and those of the squares of what they name."""
    return [*names, *(f"{name} squared" for name in names)]


def output_names(sample: Embedding) -> list[str]:
    """Of the outputs: logits by the codes of their classes, numbers, or means and deviations over steps."""
    width = sample.outputs.shape[1]
    return numbered("logit of class", width) if sample.has_logits else names_of("output", width, sample)


def names_of(what: str, width: int, sample: Embedding) -> list[str]:
    """Of columns that belong to outputs which are no logits, such as targets and errors.

    Parameters
    ----------
    what
        "output", "target" or "error".
    width
        How many columns there are: of predictions per step their means and then their deviations, as `Embedding` holds
        them, of one number or of every class.
    """
    if width == 1:
        return [f"the {what}"]
    n_outputs = sample.outputs.shape[1]
    if sample.has_logits or n_outputs % 2 or width != n_outputs:
        return numbered(what, width)
    things = [f"the {what}"] if width == 2 else numbered(f"the {what} of class", width // 2)
    return [f"the {statistic} over steps of {thing}" for statistic in ("mean", "deviation") for thing in things]
