"""What another library's exception says, fit to be repeated in ours."""


def reason(error: BaseException) -> str:
    """The first line of the message, printable and short."""
    first = (str(error).splitlines() or [""])[0][:200]
    return "".join(sign if sign.isprintable() else "?" for sign in first) or type(error).__name__
