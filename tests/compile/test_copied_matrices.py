"""Products whose matrices lie badly are copied first: the same numbers, in one call of the BLAS where it was many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.compile.place import loop_body
from tinymeta.compile.place.layout import ARENA, Layout
from tinymeta.compile.place.products import OUT, SLOW, A, B, Product
from tinymeta.compile.program.operations import Contract
from tinymeta.compile.program.views import packed

FLOAT = np.dtype(np.float32)


def matrices(formula, size, orders, accumulate=False):
    """A product of matrices which lie with their axes in these orders."""
    operands, out = formula.split("->")
    a, b = operands.split(",")
    layouts = []
    for letters, order in zip((a, b, out), orders):
        strides = packed(tuple(size[c] for c in letters), 4, tuple(letters.index(c) for c in order))
        layouts.append(Layout(ARENA, 0, 0, strides))
    return Product(Contract(a, b, out), FLOAT, layouts, size, None, accumulate)


def copied(given, found):
    layouts = list(given.layouts)
    for which, order in found.items():
        letters = given.letters()[which]
        shape = tuple(given.size[c] for c in letters)
        layouts[which] = Layout(ARENA, 0, 0, packed(shape, 4, tuple(letters.index(c) for c in order)))
    return given._replace(layouts=layouts)


SIZE = {"n": 20, "s": 196, "o": 64, "c": 64, "i": 9}


def test_filters_in_the_wrong_order_are_copied():
    rows = matrices("nso,oci->nsic", SIZE, ("nso", "oci", "nsic"))
    assert rows.copies() == {B: "oic"}
    assert copied(rows, rows.copies()).instruction()[0] == rows.least_effort() < rows.instruction()[0] / SLOW


def test_a_result_in_the_wrong_order_is_copied_unless_it_is_a_running_sum():
    filters = matrices("nsic,nso->oci", SIZE, ("nsic", "nso", "oci"))
    assert set(filters.copies()) == {OUT}
    assert copied(filters, filters.copies()).instruction()[0] == filters.least_effort()
    assert OUT not in filters._replace(accumulate=True).copies()


def test_what_lies_well_is_left_alone():
    assert matrices("nso,oci->nsic", SIZE, ("nso", "oic", "nsic")).copies() == {}


def test_a_large_operand_is_not_copied_for_a_small_product():
    size = {"n": 1, "s": 2, "o": 4096, "c": 512, "i": 9}
    assert B not in matrices("nso,oci->nsic", size, ("nso", "oci", "nsic")).copies()


@st.composite
def products(draw):
    """A formula over four or five letters, their lengths, and the order in which each operand's axes lie."""
    batch, m, n, k = (draw(st.integers(0, 2)) for _ in range(4))
    letters = "abcdefgh"[: batch + m + n + k]
    ends = np.cumsum([batch, m, n, k])
    parts = [letters[i:j] for i, j in zip((0, *ends), ends)]
    a, b, out = ("".join(draw(st.permutations(parts[0] + parts[i] + parts[j]))) for i, j in ((1, 3), (3, 2), (1, 2)))
    size = {c: draw(st.sampled_from((0, 1, 2, 3, 17))) for c in letters}
    return f"{a},{b}->{out}", size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(case=products(), forced=st.sampled_from(((), (A,), (B,), (A, B), (OUT,), (A, OUT), (B, OUT), (A, B, OUT))))
def test_compiled_products_agree_whichever_matrices_are_copied(case, dtype, forced):
    def as_told(given):
        told = tuple(which for which in forced if not (given.accumulate and which == OUT))
        found = given.orders(told)
        return found if copied(given, found).instruction()[1] else as_it_is(given)

    as_it_is = Product.copies
    formula, size = case
    a, b = formula.split("->")[0].split(",")
    rng = np.random.default_rng(0)
    xs = [rng.integers(-4, 5, [size[c] for c in letters]).astype(dtype) for letters in (a, b)]
    with pytest.MonkeyPatch.context() as patch:
        if forced:
            patch.setattr(loop_body, "SLOW", 0)
            patch.setattr(Product, "copies", as_told)
        found = tm.compile(lambda x, y: tm.einsum(formula, x, y))(*xs)
    np.testing.assert_array_equal(found.numpy(), np.einsum(formula, *xs))  # small integers: sums are exact
