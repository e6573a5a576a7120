"""The documentation site: `python -m tutorials.site` builds it into static files, which open from disk.

    pages.py      what pages there are, where their text stands in the repository, and where its links lead
    course.py     lessons as notebooks, in English and in Chinese, solutions folded away
    reference.py  every public name, from the docstring that `tests/docstrings.py` asks for
    gallery.py    recipes, with what was measured of them
    runs.py       the runs that the page with sliders shows
    front.py      the first pages, and the menu
    conf.py       Sphinx's settings; names.py and language.py, what it is taught: names that are links, two languages

All of them write Markdown and notebooks, need no Sphinx, and are tested in the suite; Sphinx runs the lessons and makes pages of it.
"""
