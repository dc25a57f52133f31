"""Leakage: what test series have in common with training series; one module per check.

Reference: Kapoor & Narayanan (2023), Leakage and the reproducibility crisis in machine-learning-based science,
Patterns 4, 100804, https://doi.org/10.1016/j.patter.2023.100804, whose kinds of leakage are cited by number.
"""

from throughtime.generalization.leakage.report import LEAKAGE_CHECKS, leakage_report
from throughtime.generalization.leakage.summary import leakage_in_words

__all__ = ["LEAKAGE_CHECKS", "leakage_in_words", "leakage_report"]
