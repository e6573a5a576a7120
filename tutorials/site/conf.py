"""Sphinx's settings, and what it is taught: names that lead to the reference, pages that know their language.

Nothing is asked of the network, neither while building nor while reading.
"""

from __future__ import annotations

from typing import Any

project, author = "tinymeta", "The tinymeta authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns: list[str] = []
nitpicky = True
nitpick_ignore_regex = [("py:class", ".*")]  # kinds of parameters are words of the docstrings, not names
suppress_warnings: list[str] = []

myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_ipywidgets_js: dict[str, Any] = {}  # by default from elsewhere

autodoc_typehints = "none"  # the field `Shapes` says more
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
add_module_names = True

html_theme = "furo"
html_title = "tinymeta"
html_static_path = ["static"]
templates_path = ["templates"]
html_css_files, html_js_files = ["site.css"], ["site.js"]
html_domain_indices = False
html_show_copyright = False
html_show_search_summary = False  # it would be fetched, which pages from disk may not
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"


def setup(app: Any) -> None:
    from tutorials.site import language, names

    names.setup(app)
    language.setup(app)
