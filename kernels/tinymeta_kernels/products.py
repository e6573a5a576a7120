"""Products of matrices for the machine: in registers, with all the SIMD that the processor has.

    c[i, j]  =  alpha · sum over l of  a[i, l] · b[l, j]  +  beta · c[i, j]

A tile of c, four rows of up to three vectors, stays in registers while l runs: each step reads three vectors of b and
four numbers of a for twelve multiply-adds, so that these, and not the memory, are what takes the time.

    for each 128 l:                          what is added up in one go: shorter sums round less
        for each three vectors of columns:   b's panel of these stays in the first-level cache, side by side
            for each four rows:              a tile
                for l: c[4 rows, 3 vectors] += a[4 rows, l] · b[l, 3 vectors]

The last vector is masked, so there are no loops for what is left over, and nothing beyond a matrix is read. A b that
lies transposed is turned a square of vectors at a time, by shuffles, while its panel is laid out. One that doesn't is
laid out if there are rows enough to pay for it, else read as it lies. Where b is one column, vectors run along l.

NumPy's BLAS knows processors by name, takes one that it doesn't know for an older one, with half the vectors, and has a
lock that its callers on several cores share. Of 72 products that were tried on an AMD EPYC with AVX-512, 60 take at
most 0.6 of its time, and the slowest, an outer product whose row lies transposed, 1.03. With vectors of 32 bytes, as
AVX2 has them, 58 take at most 1.0 and most others up to 1.05, but two of 512 × 512 × 512 in float64 whose a lies
transposed 1.5: steps from term to term fall on few lines of the cache (`tests/benchmarks/products.py`). Without either,
the BLAS is called.
"""

import math
from collections.abc import Sequence

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .vectors import I32, I64, VECTOR, Value, Writer, integer

__all__ = ["ORDINARY", "OWN", "PANEL", "TRANSPOSED", "multiply"]

ORDINARY, TRANSPOSED = 111, 112  # in the BLAS's words, how a matrix lies
OWN = VECTOR > 0  # whether there is a product of ours
ROWS, VECTORS = 4, 3  # of a tile: twelve sums, in the sixteen registers that all have
TERMS = 128  # that are added up in one go
MANY = 32  # rows that pay for a panel
PANEL = TERMS * VECTORS * VECTOR // 8 + 8  # 64-bit integers for a panel of b that begins with a cache line


def _write_tile(w: Writer, rows: int, vectors: int, values: Sequence[Value]) -> None:
    """The instructions of a tile of so many rows and vectors."""
    a, a_row, a_step, b, b_step, terms, c, c_row, alpha, beta, _ = values
    builder, grid = w.builder, [(r, v) for r in range(rows) for v in range(vectors)]
    heads = [w.at(a, builder.mul(a_row, integer(r))) for r in range(rows)]
    before, loop, after = builder.block, builder.append_basic_block("terms"), builder.append_basic_block("sums")
    builder.cbranch(builder.icmp_signed(">", terms, integer(0)), loop, after)

    builder.position_at_end(loop)
    term, sums = builder.phi(I64), [builder.phi(w.vector) for _ in grid]
    line = w.at(b, builder.mul(term, b_step))
    right = [w.load(w.at(line, integer(v * w.lanes)), v == vectors - 1) for v in range(vectors)]
    left = [w.splat(w.number(w.at(head, builder.mul(term, a_step)))) for head in heads]
    grown = [w.fma(left[r], right[v], x) for (r, v), x in zip(grid, sums)]
    following = builder.add(term, integer(1))
    for phi, start, then in [(term, integer(0), following), *((x, w.zero, y) for x, y in zip(sums, grown))]:
        phi.add_incoming(start, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following, terms), loop, after)

    builder.position_at_end(after)
    found = [builder.phi(w.vector) for _ in grid]
    for phi, y in zip(found, grown):
        phi.add_incoming(w.zero, before)
        phi.add_incoming(y, loop)
    found = [builder.fmul(w.splat(alpha), x) for x in found]
    places = [(w.at(w.at(c, builder.mul(c_row, integer(r))), integer(v * w.lanes)), v == vectors - 1) for r, v in grid]
    with builder.if_else(builder.fcmp_unordered("!=", beta, ir.Constant(w.real, 0.0))) as (adds, writes):
        with adds:
            for x, place in zip(found, places):
                w.store(w.fma(w.splat(beta), w.load(*place), x), *place)
        with writes:  # c may hold anything
            for x, place in zip(found, places):
                w.store(x, *place)


def _write_dots(w: Writer, rows: int, values: Sequence[Value]) -> list[Value]:
    """The instructions of so many rows of a times a vector b, both side by side in memory; the sums."""
    a, a_row, b, terms = values
    builder, heads = w.builder, [w.at(a, w.builder.mul(a_row, integer(r))) for r in range(rows)]
    before, loop, after = builder.block, builder.append_basic_block("terms"), builder.append_basic_block("sums")
    builder.branch(loop)

    builder.position_at_end(loop)
    term, sums = builder.phi(I64), [builder.phi(w.vector) for _ in heads]
    w.mask(builder.sub(terms, term))
    right = w.load(w.at(b, term), True)
    grown = [w.fma(w.load(w.at(head, term), True), right, x) for head, x in zip(heads, sums)]
    following = builder.add(term, integer(w.lanes))
    for phi, start, then in [(term, integer(0), following), *((x, w.zero, y) for x, y in zip(sums, grown))]:
        phi.add_incoming(start, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following, terms), loop, after)
    builder.position_at_end(after)
    return [w.total(x) for x in grown]


@intrinsic
def _dots(typingctx, rows, a, a_row, b, terms, c, c_row, alpha, beta):
    """So many numbers of c, where b is a vector and everything lies side by side; steps in numbers."""

    def codegen(context, builder, signature, values):
        rows, a, a_row, b, terms, c, c_row, weight, kept = values
        w = Writer(builder, context.get_value_type(alpha), alpha.bitwidth, terms)
        ready = builder.append_basic_block("ready")
        choice = builder.switch(rows, ready)
        for count in range(1, ROWS + 1):
            block = builder.append_basic_block(f"dots_{count}")
            choice.add_case(integer(count), block)
            builder.position_at_end(block)
            for r, x in enumerate(_write_dots(w, count, (a, a_row, b, terms))):
                place = builder.inttoptr(w.at(c, builder.mul(c_row, integer(r))), w.real.as_pointer())
                x = builder.fmul(weight, x)
                with builder.if_else(builder.fcmp_unordered("!=", kept, ir.Constant(w.real, 0.0))) as (adds, writes):
                    with adds:
                        builder.store(builder.fadd(builder.fmul(kept, builder.load(place)), x), place)
                    with writes:
                        builder.store(x, place)
            builder.branch(ready)
        builder.position_at_end(ready)
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, i, i, i, i, i, i, alpha, alpha), codegen


@intrinsic
def _tile(typingctx, rows, vectors, a, a_row, a_step, b, b_step, terms, c, c_row, alpha, beta, last):
    """A tile of c of so many rows and vectors, the last of which has `last` columns; steps in numbers."""

    def codegen(context, builder, signature, values):
        w = Writer(builder, context.get_value_type(alpha), alpha.bitwidth, values[-1])
        ready = builder.append_basic_block("ready")
        choice = builder.switch(builder.add(builder.mul(values[0], integer(VECTORS + 1)), values[1]), ready)
        for r in range(1, ROWS + 1):
            for v in range(1, VECTORS + 1):
                block = builder.append_basic_block(f"tile_{r}_{v}")
                choice.add_case(integer(r * (VECTORS + 1) + v), block)
                builder.position_at_end(block)
                _write_tile(w, r, v, values[2:])
                builder.branch(ready)
        builder.position_at_end(ready)
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, i, i, i, i, i, i, i, i, i, alpha, alpha, i), codegen


@intrinsic
def _copy(typingctx, x, last, out, like):
    """A vector, of whose lanes `last` are read, and the others 0."""

    def codegen(context, builder, signature, values):
        x, last, out, _ = values
        w = Writer(builder, context.get_value_type(like), like.bitwidth, last)
        w.store(w.load(x, True), out, False)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, like), codegen


@intrinsic
def _turn(typingctx, x, x_row, rows, last, out, out_row, like):
    """A square of as many rows as a vector has lanes, turned over: of rows beyond `rows` the last is read again, of
    columns beyond `last` nothing."""

    def codegen(context, builder, signature, values):
        x, x_row, rows, last, out, out_row, _ = values
        w = Writer(builder, context.get_value_type(like), like.bitwidth, last)
        end, lines = builder.sub(rows, integer(1)), []
        for r in range(w.lanes):
            row = builder.select(builder.icmp_signed("<", integer(r), end), integer(r), end)
            lines.append(w.load(w.at(x, builder.mul(row, x_row)), True))
        half, form = w.lanes // 2, ir.VectorType(I32, w.lanes)
        low, high = (
            ir.Constant(form, [ir.Constant(I32, start + j // 2 + w.lanes * (j % 2)) for j in range(w.lanes)])
            for start in (0, half)
        )
        for _ in range(int(math.log2(w.lanes))):  # each time, rows half of them apart are dealt out in turn
            pairs = zip(lines[:half], lines[half:])
            lines = [builder.shuffle_vector(p, q, which) for p, q in pairs for which in (low, high)]
        for r, line in enumerate(lines):
            w.store(line, w.at(out, builder.mul(out_row, integer(r))), False)
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, i, i, i, i, i, like), codegen


@intrinsic
def _blas(typingctx, address, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """Call a BLAS product of row-major matrices, in the dtype of `alpha` and `beta`."""

    def codegen(context, builder, signature, values):
        pointer = ir.IntType(8).as_pointer()
        real = context.get_value_type(alpha)
        forms = [I32, I32, I32, I64, I64, I64, real, pointer, I64, pointer, I64, real, pointer, I64]
        function = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), forms).as_pointer())
        given = [ir.Constant(I32, 101)]
        for form, value in zip(forms[1:], values[1:], strict=True):
            if form == I32:
                value = builder.trunc(value, I32)
            elif form == pointer:
                value = builder.inttoptr(value, pointer)
            given.append(value)
        builder.call(function, given)
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, i, i, i, i, i, alpha, i, i, i, i, alpha, i, i), codegen


@njit(error_model="numpy")
def _by_the_blas(blas, item, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, panel):
    """c = alpha a b + beta c, of matrices (m, k), (k, n), (m, n) whose rows, or columns if they lie transposed, are
    lda, ldb, ldc numbers of `item` bytes apart; by the function at the address `blas`."""
    _blas(blas, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)


@njit(error_model="numpy")
def _by_either(blas, item, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, panel):
    """The same; here if the address is 0, with PANEL integers of room at `panel`."""
    if blas != 0:
        _blas(blas, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
        return
    if n == 1 and ta == ORDINARY and (tb == TRANSPOSED or ldb == 1 or k == 1):
        for i in range(0, m, ROWS):
            _dots(min(ROWS, m - i), a + item * i * lda, lda, b, k, c + item * i * ldc, ldc, alpha, beta)
        return
    if n == 1 and ta == TRANSPOSED and (ldc == 1 or m == 1):  # cᵀ = bᵀ aᵀ, whose columns lie side by side
        m, n, a, lda, b, ldb, ta, tb = 1, m, b, ldb, a, lda, TRANSPOSED if tb == ORDINARY else ORDINARY, ORDINARY
    lanes = VECTOR // item
    a_row, a_step = (1, lda) if ta == TRANSPOSED else (lda, 1)
    tiles = max(1, -(-n // (VECTORS * lanes)))  # side by side: all alike, and none wider than can be
    columns = max(1, -(-n // (tiles * lanes))) * lanes
    panel = -(-panel // 64) * 64
    for start in range(0, max(k, 1), TERMS):
        terms = min(TERMS, k - start)
        for j in range(0, n, columns):
            vectors = (min(columns, n - j) + lanes - 1) // lanes
            last = min(columns, n - j) - (vectors - 1) * lanes
            right, apart = b + item * (start * ldb + j), ldb
            if m >= MANY and tb == ORDINARY:
                right, apart = panel, vectors * lanes
                for t in range(terms):
                    for v in range(0, vectors * lanes, lanes):
                        number, place = b + item * ((start + t) * ldb + j + v), panel + item * (t * apart + v)
                        _copy(number, min(lanes, n - j - v), place, alpha)
            if tb == TRANSPOSED:
                right, apart = panel, vectors * lanes
                for v in range(0, vectors * lanes, lanes):
                    for t in range(0, terms, lanes):
                        square, place = b + item * ((j + v) * ldb + start + t), panel + item * (t * apart + v)
                        _turn(square, ldb, min(lanes, n - j - v), min(lanes, terms - t), place, apart, alpha)
            for i in range(0, m, ROWS):
                x, y = a + item * (i * a_row + start * a_step), c + item * (i * ldc + j)
                _tile(min(ROWS, m - i), vectors, x, a_row, a_step, right, apart, terms, y, ldc, alpha, beta, last)
        beta = alpha * 0 + 1


multiply = _by_either if OWN else _by_the_blas
