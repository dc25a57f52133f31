"""What tests call the columns that they compare: outputs, targets and errors of a network, and squares."""

from collections.abc import Sequence

from throughtime.shift.records import Embedding


def labels_of(sample: object, count: int) -> list[str]:
    """Of so many class codes the labels as text; of a sample that does not know them the codes."""
    labels = sample.class_labels if isinstance(sample, Embedding) else None
    return [str(label) for label in (range(count) if labels is None else labels[:count])]


def numbered(word: str, count: int) -> list[str]:
    """``word 0``, ``word 1``, ..."""
    return [f"{word} {number}" for number in range(count)]


def with_squares(names: Sequence[str]) -> list[str]:
    """The names, and those of the squares of what they name."""
    return [*names, *(f"{name} squared" for name in names)]


def output_names(sample: Embedding) -> list[str]:
    """Of the outputs: logits by the labels of their classes, numbers, or means and deviations over steps."""
    width = sample.outputs.shape[1]
    if not sample.has_logits:
        return names_of("output", width, sample)
    return [f"logit of class {label}" for label in labels_of(sample, width)]


def target_names(sample: Embedding) -> list[str]:
    """Of the columns of targets that are numbers, or of steps; none without targets."""
    return [] if sample.target is None else names_of("target", sample.target[0].size, sample)


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
    of_classes = [f"the {what} of class {label}" for label in labels_of(sample, width // 2)]
    things = [f"the {what}"] if width == 2 else of_classes
    return [f"the {statistic} over steps of {thing}" for statistic in ("mean", "deviation") for thing in things]
