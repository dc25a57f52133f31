"""What a file may cost, and what of another library's message is worth repeating."""

BUDGET = 4 * 2**30
"""Bytes that one file may unpack to, whatever it claims itself."""


def reason(error: BaseException) -> str:
    """The first line of another library's message, printable and short."""
    first = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return "".join(sign if sign.isprintable() else "?" for sign in first) or type(error).__name__
