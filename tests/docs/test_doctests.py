"""Every example in a docstring gives what is printed below it.

Docstrings are read from the source: the hook that checks types wraps functions, which doctest then passes over.
"""

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"


def examples() -> Iterator[doctest.DocTest]:
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            text = ast.get_docstring(node) or ""
            if ">>>" in text:
                name = f"{module}:{getattr(node, 'name', '')}"
                yield doctest.DocTestParser().get_doctest(
                    text, {"__name__": module}, name, str(path), node.body[0].lineno
                )


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_examples_give_what_they_say(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example.globs |= vars(importlib.import_module(example.globs["__name__"]))
    report: list[str] = []
    outcome = doctest.DocTestRunner().run(example, out=report.append)
    assert outcome.attempted > 0
    assert outcome.failed == 0, "".join(report)


def test_every_prompt_in_the_source_is_in_an_example() -> None:
    written = sum(path.read_text(encoding="utf-8").count(">>> ") for path in SOURCE.rglob("*.py"))
    assert written == sum(len(example.examples) for example in examples())
