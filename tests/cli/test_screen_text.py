"""What is said in sentences is broken between words for a person, and not at all for a program."""

import io

import pytest
from rich.console import Console

from throughtime.cli import screen

SENTENCE = "what is said of the data, and of gradients, in words that are many"


@pytest.mark.parametrize("width", [20, 33])
def test_a_sentence_is_broken_between_words_on_a_terminal_alone(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        console = Console(width=width, file=io.StringIO(), force_terminal=terminal, no_color=True, highlight=False)
        monkeypatch.setattr(screen, "console", lambda console=console: console)
        with console.capture() as printed:
            screen.print_text(SENTENCE)
        lines = printed.get().splitlines()
        assert " ".join(line.strip() for line in lines) == SENTENCE
        assert (len(lines) > 1) == terminal
        assert not terminal or max(map(len, lines)) <= width


def test_a_note_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen.console.cache_clear()
    screen.print_note("column [bold] is left out")
    assert capsys.readouterr().out == "column [bold] is left out\n"
    screen.console.cache_clear()
