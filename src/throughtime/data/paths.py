"""What a path that is to be read must be: a name that can be written, and a file that ends."""

from pathlib import Path

from throughtime.errors import DataError


def refuse_undecodable(path: Path) -> None:
    """Refuse a name that is not UTF-8: it could be printed nowhere, nor name a series."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError("a source needs a name in UTF-8, got other bytes; rename it") from error


def refuse_special(path: Path) -> None:
    """Refuse what is neither file nor directory: a pipe waits for ever, a device has no end."""
    if not path.is_file():
        raise DataError(
            "a source needs to be a file or a directory, got a pipe, a socket or a device; save it as a file first"
        )


def printable(path: Path) -> str:
    """The path as a message can show it."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 200 else f"...{text[-197:]}"
