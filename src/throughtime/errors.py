"""The exceptions and the warnings of throughtime, each exception also the built-in one that a caller would expect.

A message reads "<what> needs <rule>, got <value>" and ends with the cure when there is one.
"""

import os
import sys
import warnings
from pathlib import Path

_PACKAGE = f"{Path(__file__).parent}{os.sep}"  # of which other packages' paths may begin without the separator
_WRAPPER = "sklearn.callback._callback_support"  # of our own fit, between its caller and it


class ThroughtimeError(Exception):
    """Anything that throughtime refuses to do; the command line shows its message without a traceback."""


class DataError(ThroughtimeError, ValueError):
    """Data that cannot be used as they are: a shape, a value, a column, a file's content."""


class DataWarning(UserWarning):
    """Data that are used, but perhaps not as was meant; the message names what was seen, and the cure."""


class FlowWarning(UserWarning):
    """A gradient that vanishes or explodes on its way through time; training goes on. The message says whose, where."""


class StorageWarning(UserWarning):
    """A file that was set aside since it is damaged, or that was written elsewhere and may not go on bit for bit."""


class ParameterError(ThroughtimeError, ValueError):
    """A parameter, option or setting outside what is allowed."""


class MissingDependencyError(ThroughtimeError, ImportError):
    """A package that only an extra brings is needed and not installed."""


class DivergenceError(ThroughtimeError, ArithmeticError):
    """Training reached a loss or gradient that is not finite."""


class StorageError(ThroughtimeError, OSError):
    """A file or run directory that cannot be written, or that is not what its manifest promises."""


def warn(text: str, category: type[Warning]) -> None:
    """Warn at the line that called into the package, however deep in it the reason was found."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(_PACKAGE) or frame.f_globals.get("__name__") == _WRAPPER
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
