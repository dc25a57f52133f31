"""What a file may cost."""

BUDGET = 4 * 2**30
"""Bytes that one file may unpack to, whatever it claims itself."""
