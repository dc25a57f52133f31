"""The pages that are written by hand, and the blocks of code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDES = sorted(page for page in (ROOT / "docs" / "guide").glob("*.md") if page.stem != "index")
PAGES = [README, ROOT / "CONTRIBUTING.md", *GUIDES]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages, in order."""
    fenced = re.findall(r"^```([\w{}]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for language, text in fenced if language in languages]
