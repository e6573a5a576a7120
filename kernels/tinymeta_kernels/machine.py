"""A machine for programs of array operations: one compiled loop that reads instructions and does what they say.

A program is a table of 64-bit integers. The machine does little arithmetic of its own: elementwise operations and most
sums are NumPy's own inner loops (or ours of their form, ``loops.py``), products NumPy's own BLAS, all called by address
(``addresses.py``). What it saves is everything around them, which for small arrays is nearly all the time: Python, the
checks of each call, and memory that is allocated and paged in for every result. A new program compiles nothing.

    for each block of tasks:                 a block's arrays are small, and stay in the core's cache
        for each instruction:
            addresses of its operands        base[slot] + offset + first task · step
            for each row: loop(addresses, count, strides)

An instruction is laid out as

    opcode, length, address, data, operands, axes, size of each axis,
    then for each operand (the result last): slot, offset, step, stride along each axis

with offsets, steps and strides in bytes. A negative size stands for that many elements *per task*: it is multiplied by
the number of tasks in the block. A loop runs along the last axis, SCALE, SUM and WHERE along the last two.
A program that begins with TURNS, length, turns, slots, 0, 0, and for each of these slots (slot, step, alternates) runs
so many times for each block of tasks; after each turn these slots move by their step, or there and back.
"""

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from ._jit import jit
from .products import ORDINARY, PANEL, TRANSPOSED, multiply

__all__ = ["CAST", "GEMM", "LOOP", "ORDINARY", "SCALE", "SUM", "TRANSPOSED", "TURNS", "WHERE", "WORK", "run"]

LOOP = 0  # a ufunc's inner loop at `address`
SCALE = 1  # out = x·y, but 0 where x is 0 and y has no number
WHERE = 2  # out = y where x, else z
CAST = 3  # out = x, float32 to float64 or back
GEMM = 4  # out = alpha x y + beta out; after the operands: transposed x, y; m, n, k; leading sizes; alpha, beta
SUM = 5  # out += the rows of x, which run along the last axis but one
TURNS = 6  # at the head: all that follows, again and again; after the number of turns, that of the slots that move

ROOM = 512  # numbers that a loop holds back before it writes them
AXES = 68  # of an instruction: an array of NumPy has at most 64
WORK = 24 + 2 * AXES + max(ROOM, PANEL)  # 64-bit integers that a run needs


@intrinsic
def _call_loop(typingctx, address, args, count, strides, data):
    """Call a ufunc's inner loop."""
    from llvmlite import ir

    def codegen(context, builder, signature, values):
        pointer = ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [pointer] * 4).as_pointer()
        given = [builder.inttoptr(v, pointer) for v in values[1:]]
        builder.call(builder.inttoptr(values[0], function), given)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), codegen


@intrinsic
def _pointer(typingctx, address, like):
    """An address as a pointer to numbers of the type of `like`."""

    def codegen(context, builder, signature, values):
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(types.int64, like), codegen


@intrinsic
def _itemsize(typingctx, like):
    """The bytes of a number of the type of `like`."""

    def codegen(context, builder, signature, values):
        return context.get_constant(types.int64, like.bitwidth // 8)

    return types.int64(like), codegen


@njit(error_model="numpy")
def _scale(rows, n, address, stride, row_stride, spare, zero):
    """Runs of ROOM numbers through spare memory: the result may lie where an operand does, and a loop that might
    read what it has just written would not use SIMD."""
    item: int = _itemsize(zero)
    a, b = (0, 1) if stride[0] == item else (1, 0)
    sx, sy, so = stride[a], stride[b], stride[2]
    room = carray(_pointer(spare, zero), (ROOM,))
    for row in range(rows):
        for first in range(0, n, ROOM):
            count = min(ROOM, n - first)
            at_x = address[a] + row * row_stride[a] + first * sx
            at_y = address[b] + row * row_stride[b] + first * sy
            at_out = address[2] + row * row_stride[2] + first * so
            if sx == item and so == item and (sy == item or sy == 0):
                x, out = carray(_pointer(at_x, zero), (count,)), carray(_pointer(at_out, zero), (count,))
                if sy == item:
                    y = carray(_pointer(at_y, zero), (count,))
                    for i in range(count):
                        room[i] = _product(x[i], y[i], zero)
                else:
                    d = _pointer(at_y, zero)[0]
                    for i in range(count):
                        room[i] = _product(x[i], d, zero)
                for i in range(count):
                    out[i] = room[i]
            else:
                for i in range(count):
                    room[i] = _product(_pointer(at_x + i * sx, zero)[0], _pointer(at_y + i * sy, zero)[0], zero)
                for i in range(count):
                    _pointer(at_out + i * so, zero)[0] = room[i]


@njit(error_model="numpy")
def _product(x, y, zero):
    p = x * y
    return zero if (p != p) & ((x == zero) | (y == zero)) else p


@njit(error_model="numpy")
def _sum(rows, n, address, row_stride, spare, zero):
    """Add rows of neighbours to one row, four at a time."""
    room = carray(_pointer(spare, zero), (ROOM,))
    item: int = _itemsize(zero)
    for first in range(0, n, ROOM):
        count = min(ROOM, n - first)
        out = carray(_pointer(address[1] + first * item, zero), (count,))
        for i in range(count):
            room[i] = out[i]
        at, step = address[0] + first * item, row_stride[0]
        for _ in range(rows // 4):
            a = carray(_pointer(at, zero), (count,))
            b = carray(_pointer(at + step, zero), (count,))
            c = carray(_pointer(at + 2 * step, zero), (count,))
            d = carray(_pointer(at + 3 * step, zero), (count,))
            for i in range(count):
                room[i] += (a[i] + b[i]) + (c[i] + d[i])
            at += 4 * step
        for _ in range(rows % 4):
            a = carray(_pointer(at, zero), (count,))
            for i in range(count):
                room[i] += a[i]
            at += step
        for i in range(count):
            out[i] = room[i]


@njit(error_model="numpy")
def _where(rows, n, address, stride, row_stride, spare, zero):
    """As in `_scale`."""
    sc, sx, sy, so = stride[0], stride[1], stride[2], stride[3]
    item: int = _itemsize(zero)
    room = carray(_pointer(spare, zero), (ROOM,))
    near = sc == 1 and so == item and (sx == item or sx == 0) and (sy == item or sy == 0)
    for row in range(rows):
        for first in range(0, n, ROOM):
            count = min(ROOM, n - first)
            at_c, at_x = address[0] + row * row_stride[0] + first * sc, address[1] + row * row_stride[1] + first * sx
            at_y, at_out = address[2] + row * row_stride[2] + first * sy, address[3] + row * row_stride[3] + first * so
            if near:
                c, x = carray(_pointer(at_c, np.uint8(0)), (count,)), carray(_pointer(at_x, zero), (count,))
                y, out = carray(_pointer(at_y, zero), (count,)), carray(_pointer(at_out, zero), (count,))
                one, other = x[0], y[0]
                for i in range(count):
                    chosen, left = x[i] if sx == item else one, y[i] if sy == item else other
                    room[i] = chosen if c[i] != 0 else left
                for i in range(count):
                    out[i] = room[i]
            else:
                for i in range(count):
                    chosen = at_x + i * sx if _pointer(at_c + i * sc, np.uint8(0))[0] != 0 else at_y + i * sy
                    _pointer(at_out + i * so, zero)[0] = _pointer(chosen, zero)[0]


@njit(error_model="numpy")
def _cast(n, address, stride, before, after):
    if stride[0] == _itemsize(before) and stride[1] == _itemsize(after):
        x, out = carray(_pointer(address[0], before), (n,)), carray(_pointer(address[1], after), (n,))
        for i in range(n):
            out[i] = x[i]
    else:
        for i in range(n):
            _pointer(address[1] + i * stride[1], after)[0] = _pointer(address[0] + i * stride[0], before)[0]


@njit(error_model="numpy")
def _own(opcode, rows, n, address, stride, row_stride, spare, zero, other):
    """One of the machine's own loops, on numbers like `zero`; a cast is from these to numbers like `other`."""
    if opcode == SCALE:
        _scale(rows, n, address, stride, row_stride, spare, zero)
    elif opcode == SUM:
        _sum(rows, n, address, row_stride, spare, zero)
    elif opcode == WHERE:
        _where(rows, n, address, stride, row_stride, spare, zero)
    else:
        _cast(n, address, stride, zero, other)


@njit
def _sized(n, tasks):
    return n if n >= 0 else -n * tasks


@njit
def _instructions(code, at, numbers, base, task, tasks, out_work):
    """All instructions from `at` on, once, for so many tasks from this one on."""
    address, stride, row_stride = out_work[:8], out_work[8:16], out_work[16:24]
    size, index = out_work[24 : 24 + AXES], out_work[24 + AXES : 24 + 2 * AXES]
    spare = out_work[24 + 2 * AXES :].ctypes.data
    while at < code.size:
        opcode, fn, data, operands, axes = code[at], code[at + 2], code[at + 3], code[at + 4], code[at + 5]
        width, operand = 3 + axes, at + 6 + axes
        within = 2 if opcode in (SCALE, SUM, WHERE) and axes > 1 else 1  # axes that a call runs along
        calls = 1
        for d in range(axes):
            size[d] = _sized(code[at + 6 + d], tasks)
            index[d] = 0
            if d < axes - within:
                calls *= size[d]
        n, rows = size[axes - 1], size[axes - 2] if within == 2 else 1
        for k in range(operands):
            o = operand + k * width
            address[k] = base[code[o]] + code[o + 1] + task * code[o + 2]
            stride[k] = code[o + 2 + axes]
            row_stride[k] = code[o + 1 + axes]
        stride[operands] = data
        more = operand + operands * width
        for _ in range(calls):
            if opcode == LOOP:
                _call_loop(fn, address.ctypes.data, size[axes - 1 :].ctypes.data, stride.ctypes.data, data)
            elif opcode == GEMM:
                m, c, s = _sized(code[more + 2], tasks), _sized(code[more + 3], tasks), _sized(code[more + 4], tasks)
                ta, tb, lda, ldb, ldc = code[more], code[more + 1], code[more + 5], code[more + 6], code[more + 7]
                alpha, beta = numbers[code[more + 8]], numbers[code[more + 9]]
                x, y, out = address[0], address[1], address[2]
                if data == 4:
                    f, g = np.float32(alpha), np.float32(beta)
                    multiply(fn, data, ta, tb, m, c, s, f, x, lda, y, ldb, g, out, ldc, spare)
                else:
                    multiply(fn, data, ta, tb, m, c, s, alpha, x, lda, y, ldb, beta, out, ldc, spare)
            elif data == 4:
                _own(opcode, rows, n, address, stride, row_stride, spare, np.float32(0), np.float64(0))
            else:
                _own(opcode, rows, n, address, stride, row_stride, spare, np.float64(0), np.float32(0))
            for d in range(axes - within - 1, -1, -1):
                index[d] += 1
                full = index[d] == size[d]
                for k in range(operands):
                    step = code[operand + k * width + 3 + d]
                    address[k] += step * (1 - size[d]) if full else step
                if not full:
                    break
                index[d] = 0
        at += code[at + 1]


@jit
def run(code, numbers, out_base, first, last, block, out_work):
    """Run the instructions in ``code`` for tasks ``first`` to ``last``, ``block`` of them at a time.

    ``numbers``, of float64, are the factors alpha and beta of products; all else is int64: ``out_base`` the address of
    each slot (they move, and come back), ``out_work`` room for WORK integers of one instruction.
    """
    loops = code.size > 0 and code[0] == TURNS
    begin, turns, moved = (code[1], code[2], code[3]) if loops else (0, 1, 0)
    for task in range(first, last, block):
        tasks = min(block, last - task)
        for turn in range(turns):
            _instructions(code, begin, numbers, out_base, task, tasks, out_work)
            for k in range(moved):
                slot, step, alternates = code[6 + 3 * k], code[7 + 3 * k], code[8 + 3 * k]
                out_base[slot] += -step if alternates != 0 and turn % 2 == 1 else step
        for k in range(moved):
            step, alternates = code[7 + 3 * k], code[8 + 3 * k]
            out_base[code[6 + 3 * k]] -= step * (turns % 2 if alternates != 0 else turns)
