"""What is true of a planted case: each remedy, trained on the case's series, scored on fresh ones of its law."""

from counterfactuals.losses import Losses, dummy_losses, losses_of
from counterfactuals.remedies import Remedy, remedies, with_feature
from counterfactuals.truth import Gain, Truth, truth

__all__ = ["Gain", "Losses", "Remedy", "Truth", "dummy_losses", "losses_of", "remedies", "truth", "with_feature"]
