"""What the pages say is what the data say."""

from __future__ import annotations

import re

import pytest

from tests.results.pages import LINK, PAGES, ROOT, loose, published, rendered
from tinymeta.engine.errors import UserError
from tinymeta.recipes import claims

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


@pytest.mark.parametrize("page", TEXTS)
def test_every_number_that_is_linked_to_data_is_the_one_in_the_data(page: str) -> None:
    assert rendered(TEXTS[page]) == TEXTS[page], "`python -m tests.results.pages` writes it"


@pytest.mark.parametrize("page", TEXTS)
def test_every_interval_has_its_data_or_is_published(page: str) -> None:
    assert loose(TEXTS[page]) == []


@pytest.mark.parametrize("page", ["README.md", "tutorials/systems.md", "CHANGELOG.md"])
def test_a_planted_digit_is_found(page: str) -> None:
    (link, *_) = [m for m in LINK.finditer(TEXTS[page]) if re.search(r"\d\.\d", m[1])]
    planted = re.sub(r"\d(?=\.)", lambda m: str((int(m[0]) + 1) % 10), link[1], count=1)
    text = TEXTS[page].replace(link[0], link[0].replace(link[1], planted, 1), 1)
    assert text != TEXTS[page] and rendered(text) == TEXTS[page]
    unlinked = TEXTS[page].replace(link[0], "0.123 ± 0.045", 1)
    assert loose(unlinked) == ["0.123 ± 0.045"]


def test_a_link_leads_to_data_that_are_there() -> None:
    for text in ("[1](results/nothing.json#maml)", "[1](results/main.json#nothing)"):
        with pytest.raises(UserError, match="nothing"):
            rendered(text)
    for page, text in TEXTS.items():
        for m in LINK.finditer(text):
            assert (ROOT / page).parent.joinpath(m[2]).is_file(), m[0]


def test_every_claim_stands_on_a_page_and_every_published_figure_in_the_table_of_these() -> None:
    linked = {m[3] for text in TEXTS.values() for m in LINK.finditer(text)}
    assert linked == {*claims.names()}
    for name in claims.names():
        if figure := claims.load(name).published:
            assert tuple(float(part) for part in figure.split("±")) in published(), name
