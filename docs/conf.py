"""The site that ``make docs`` builds: guides, executed; the reference, from the docstrings; the decisions.

A page is plain Markdown, so that it reads well in the repository.  Nothing is fetched, neither by the build nor by the
pages: no inventories of other projects, no scripts or fonts of other hosts.
"""

import inspect
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils.nodes import Element, SkipNode, math, math_block
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

import throughtime

project = "throughtime"
copyright = "the throughtime contributors"  # noqa: A001
release = metadata.version("throughtime")

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
exclude_patterns = ["_static", "_templates"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme = "pydata_sphinx_theme"
html_title = "throughtime"
smartquotes = False  # quotes of Python stay what they are
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"

# Guides
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # outputs of the code as it is, never of a cache
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "error"  # a warning in a guide fails the build

# Reference
autosummary_ignore_module_all = False
autosummary_imported_members = True
#: What is public at the top is described there, not once more in the package it lives in.
autosummary_context = {"top": throughtime.__all__}
autodoc_inherit_docstrings = False
autodoc_typehints = "none"  # types are in the docstrings where a user sets them; signatures stay short
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # the name of a constant, not what it holds
numpydoc_show_class_members = False  # the templates list them
default_role = "py:obj"
nitpicky = True
highlight_language = "none"
#: Names of other projects are code, not links: their inventories would have to be fetched.
nitpick_ignore_regex = [(r"py:.*", r"(matplotlib|numpy|pandas|scipy|sklearn|torch)\..*")]


def setup(app: Sphinx) -> None:
    """Connect what this site does differently."""
    app.connect("source-read", execute_python_blocks)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("missing-reference", link_public)
    app.connect("build-finished", refuse_foreign_hosts)
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))


def execute_python_blocks(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Make a notebook of a guide: its blocks of Python are cells.

    A picture of `docs/images` right below a block shows readers of the repository what the block draws; here the
    block's own output does.
    """
    if docname.startswith("guide/") and "```python\n" in source[0]:
        text = re.sub(r"(```\n)\n!\[[^\]]*\]\(\.\./images/[^)]*\)\n", r"\1", source[0])
        source[0] = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n" + text.replace(
            "```python\n", "```{code-cell} ipython3\n"
        )


def skip_foreign(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool:  # noqa: ARG001
    """Leave out members that torch or scikit-learn define, which have their own documentation, and classes held."""
    function = inspect.unwrap(getattr(obj, "fget", None) or obj)
    home = str(getattr(function, "__module__", None))
    alias = inspect.isclass(obj) and obj.__name__ != name  # a class attribute that holds a class
    return skip or alias or (inspect.isroutine(function) and not home.startswith("throughtime"))


def link_public(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: Element) -> Element | None:
    """Link a name in single backticks that is public at the top, wherever it stands; any other is code."""
    if (node["refdomain"], node["reftype"]) != ("py", "obj"):
        return None
    name = f"throughtime.{node['reftarget']}"
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contnode) or contnode


def write_mathml(translator: HTML5Translator, node: math | math_block) -> None:
    """Write a formula as MathML, which browsers set themselves: MathJax would be fetched from its host."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, math_block)))
    raise SkipNode


def refuse_foreign_hosts(app: Sphinx, exception: Exception | None) -> None:
    """Fail when a page would load anything from another host."""
    if exception is None:
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            loads = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*\"", text)
            loads += [link for link in re.findall(r"<link\b[^>]*>", text) if re.search(r'href="(?:https?:)?//', link)]
            if loads:
                raise ExtensionError(f"{page} needs to be self-contained, got {loads[0]}")
