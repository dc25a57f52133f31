"""How well a net will do on series it has not seen: folds in lockstep, intervals, and what it must beat."""

from throughtime.generalization.cross_validation import cross_validate

__all__ = ["cross_validate"]
