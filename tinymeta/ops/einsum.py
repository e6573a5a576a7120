"""Einstein's summation, taken apart into operations that are differentiable already.

Repeated letters of one operand become a diagonal, letters nobody else needs are summed, and pairs of
operands meet in a matrix product (or an elementwise one where nothing is summed). So it runs at the speed
of BLAS and is right at every order with no rule of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import prod
from typing import NamedTuple

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.ops.contraction_path import contraction_path
from tinymeta.ops.linalg import matmul
from tinymeta.ops.matrix import diagonal
from tinymeta.ops.reduce import sum
from tinymeta.ops.shape import permute_dims, reshape, squeeze


class Term(NamedTuple):
    """An operand and a letter for each of its axes; the axes of an ellipsis have digits, from the right."""

    x: Tensor
    letters: str


def einsum(subscripts: str, *operands: ArrayLike) -> Tensor:
    """Sums of products in Einstein's notation, as in `einsum("bij,bjk->bik", a, b)`.

    Shapes: one letter per axis; the letters after `->` say the result's.
    Raises: ShapeError where letters and shapes don't fit: `tm.einsum("ij,jk", [[1.0]])`.

    Parameters
    ----------
    subscripts
        A letter for each axis of each operand, operands parted by commas, then `->` and the letters of the result.
        Letters that the result lacks are summed over. `...` stands for any further axes, which broadcast. A letter
        twice in one operand takes its diagonal. Without `->` the result has the letters that occur once, in
        alphabetical order, after the axes of `...`.

    Examples
    --------
    >>> tm.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [10.0, 1.0])
    tensor([12., 34.])
    >>> tm.einsum("ii", [[1.0, 2.0], [3.0, 4.0]])
    tensor(5.)
    """
    xs = [as_tensor(x) for x in operands]
    inputs, output = _parsed(subscripts, xs)
    sizes: dict[str, int] = {}
    for x, letters in zip(xs, inputs):
        for letter, n in zip(letters, x.shape):
            if sizes.setdefault(letter, n) != n and 1 not in (n, sizes[letter]):
                raise ShapeError(
                    f"einsum {subscripts!r}: letter {letter!r} stands for sizes {sizes[letter]} and {n} in shapes "
                    f"{[x.shape for x in xs]} ({user_site()})"
                )
            sizes[letter] = n if sizes[letter] == 1 else sizes[letter]
    terms = [_plain(Term(x, letters), sizes) for x, letters in zip(xs, inputs)]
    for i, j in contraction_path([t.letters for t in terms], output, sizes)[0]:
        b, a = terms.pop(j), terms.pop(i)
        terms.append(_product(a, b, {*output, *(c for t in terms for c in t.letters)}))
    x, letters = _summed(terms[0], output)
    return permute_dims(x, [letters.index(i) for i in output])


def _parsed(subscripts: str, xs: list[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, ellipses written out as digits."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    foreign = [i for i in {*left, *right} - {",", "."} if not (i.isascii() and i.isalpha())]
    inputs = left.split(",")
    if len(inputs) != len(xs):
        raise ShapeError(f"einsum {subscripts!r} describes {len(inputs)} operands and got {len(xs)} ({user_site()})")
    full, most = [], 0
    for letters, x in zip(inputs, xs):
        named = letters.replace("...", "")
        extra = x.ndim - len(named)
        if extra < 0 or (extra and named == letters) or len(letters) - len(named) not in (0, 3) or extra > 10:
            raise ShapeError(f"einsum {subscripts!r}: {letters!r} does not fit shape {x.shape} ({user_site()})")
        full.append(letters.replace("...", "9876543210"[10 - extra :]))
        most = max(most, extra)
    ellipsis = "9876543210"[10 - most :]
    used = "".join(full)
    if not arrow:
        right = ellipsis + "".join(sorted(i for i in {*used} if used.count(i) == 1 and not i.isdigit()))
    output = right.replace("...", ellipsis)
    if foreign or len({*output}) < len(output) or not {*output} <= {*used} or not {*ellipsis} <= {*output}:
        raise ShapeError(
            f"einsum {subscripts!r}: the result's letters must be different, each must stand in an operand, and the "
            f"'...' of an operand in the result ({user_site()})"
        )
    return full, output


def _plain(term: Term, sizes: dict[str, int]) -> Term:
    """The operand without repeated letters, and without axes of size 1 that broadcast against longer ones."""
    x, letters = term
    while repeated := next((i for i in letters if letters.count(i) > 1), None):
        first, second = letters.index(repeated), letters.rindex(repeated)
        x = diagonal(x, axes=(first, second))
        letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + repeated
    thin = tuple(k for k, i in enumerate(letters) if x.shape[k] != sizes[i])
    return Term(squeeze(x, thin) if thin else x, "".join(i for k, i in enumerate(letters) if k not in thin))


def _summed(term: Term, needed: Collection[str]) -> Term:
    """The operand summed over the letters that nobody needs."""
    x, letters = term
    gone = tuple(k for k, i in enumerate(letters) if i not in needed)
    return Term(sum(x, gone), "".join(i for i in letters if i in needed)) if gone else term


def _product(a: Term, b: Term, needed: Collection[str]) -> Term:
    """Two operands multiplied, and summed over the letters that they share and nobody else needs."""
    a, b = _summed(a, {*needed, *b.letters}), _summed(b, {*needed, *a.letters})
    batch = [i for i in a.letters if i in b.letters and i in needed]
    inner = [i for i in a.letters if i in b.letters and i not in needed]
    rows = [i for i in a.letters if i not in b.letters]
    columns = [i for i in b.letters if i not in a.letters]
    x, y = _arranged(a, [*batch, *rows, *inner]), _arranged(b, [*batch, *inner, *columns])
    lead, m = x.shape[: len(batch)], x.shape[len(batch) : len(batch) + len(rows)]
    n = y.shape[len(batch) + len(inner) :]
    if inner:
        k = prod(y.shape[len(batch) : len(batch) + len(inner)])
        z = matmul(reshape(x, (*lead, prod(m), k)), reshape(y, (*lead, k, prod(n))))
    else:
        z = reshape(x, (*lead, prod(m), 1)) * reshape(y, (*lead, 1, prod(n)))
    return Term(reshape(z, (*lead, *m, *n)), "".join([*batch, *rows, *columns]))


def _arranged(term: Term, letters: Iterable[str]) -> Tensor:
    return permute_dims(term.x, [term.letters.index(i) for i in letters])
