"""What others say, fit to be repeated in a message of ours."""


def reason(error: BaseException) -> str:
    """The first line of the message, printable and short."""
    first = (str(error).splitlines() or [""])[0][:200]
    return "".join(sign if sign.isprintable() else "?" for sign in first) or type(error).__name__


def shown(value: object) -> str:
    """A value of the user's in quotes, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"


def shown_column(name: str) -> str:
    """A column's name in quotes."""
    return shown(name) if name else "the column without a name"
