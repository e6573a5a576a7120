"""Faults of the compiler's writing, rewriting and placing, one for each rule."""

from __future__ import annotations

from tests.compile.planted import Fault
from tests.compile.program_witnesses import (
    equal_operations,
    folded_constants,
    linear_programs,
    placed_programs,
    products_of_products,
    random_loops,
    shared_factors,
    sum_of_a_broadcast,
    views_in_normal_form,
    virtual_number,
    weights_far_apart,
    what_is_kept,
)
from tinymeta.compile.place import assemble
from tinymeta.compile.place.loop_body import LoopBody
from tinymeta.compile.place.products import Product
from tinymeta.compile.place.scratch import Scratch
from tinymeta.compile.program import calls, operations
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import View
from tinymeta.compile.record import products
from tinymeta.compile.rewrite import all_turns, contraction, expansion, sums
from tinymeta.compile.rewrite.expansion import Expansion
from tinymeta.compile.rewrite.factor import Factoring
from tinymeta.compile.run import turns
from tinymeta.compile.run.turns import Turns

EXPANDED = (Expansion, "_written")
FAULTS: dict[str, Fault] = {
    "turns: a slice that is too short": Fault(turns, "_moves", "math.prod(s[1:])", "math.prod(s[2:])", random_loops),
    "turns: the wrong way round": Fault(turns, "_moves", "-1 if op.reverse else 1", "1", random_loops),
    "turns: a carry is read where it lay before": Fault(
        turns, "_moves", "((n, 1) for n in", "((0, 0) for n in", random_loops
    ),
    "turns: a carry is written where it lay before": Fault(
        turns, "_moves", "((-n, 1) for", "((0, 0) for", random_loops
    ),
    "turns: the last one is dropped": Fault(
        Turns, "__init__", "op.turns, len(table)", "op.turns - 1, len(table)", random_loops
    ),
    "turns: the first carry isn't copied": Fault(Turns, "__call__", "place[0] = x", "place[1] = x", random_loops),
    "turns: the carry before the last": Fault(
        Turns, "__call__", "place[op.turns % 2]", "place[1 - op.turns % 2]", random_loops
    ),
    "for all turns: a product of all with one": Fault(all_turns, "for_all", "letter * has", "letter", random_loops),
    "for all turns: a sum over the turns": Fault(
        all_turns, "for_all", "k + 1 for k in op.axes", "k for k in op.axes", random_loops
    ),
    "kind 1: a summed axis that no factor has counts once": Fault(
        Expansion, "_summed", "times * term.weight", "term.weight", sum_of_a_broadcast
    ),
    "kind 6: a number that is virtual itself": Fault(
        Expansion, "is_number", "multiple is not None and", "False and", virtual_number
    ),
    "factor: a difference is a sum": Fault(*EXPANDED, "weight=sign * t.weight", "weight=t.weight", linear_programs),
    "factor: a negative keeps its sign": Fault(*EXPANDED, "zip(op.signs,", "zip((1, *op.signs[1:]),", linear_programs),
    "factor: a product has the weight of one factor": Fault(
        *EXPANDED, "s.weight * t.weight", "s.weight", products_of_products
    ),
    "factor: a product forgets a number": Fault(*EXPANDED, "s.scalars + t.scalars", "s.scalars", products_of_products),
    "factor: a number that only the run knows is lost": Fault(
        *EXPANDED, "(*t.scalars, multiple.number)", "t.scalars", linear_programs
    ),
    "factor: a quotient is a multiple": Fault(
        Expansion, "multiple", "weight if times else 1 / weight", "weight", products_of_products
    ),
    "factor: labels of a transpose the wrong way round": Fault(
        Expansion, "_through", "labels[op.axes.index(k)]", "labels[op.axes[k]]", products_of_products
    ),
    "factor: two dtypes in one term": Fault(
        Expansion, "is_linear", "any(x.dtype != node.dtype for x in given)", "False", products_of_products
    ),
    "factor: weights leave the dtype's range": Fault(
        Factoring, "_extent", "exponent += abs(", "exponent += 0 * abs(", weights_far_apart
    ),
    "merged: the first weight is lost": Fault(expansion, "merged", "other.weight * w", "w", shared_factors),
    "merged: the second weight is lost": Fault(expansion, "merged", "(term.weight * w, i)", "(w, i)", shared_factors),
    "merged: weights count twice": Fault(expansion, "merged", "Term(1.0, ", "Term(term.weight, ", shared_factors),
    "merged: terms with different numbers meet": Fault(
        contraction, "_apart_in_one", "), term.scalars)", "))", shared_factors
    ),
    "merged: factors of different shapes meet": Fault(
        contraction, "_renamed", "FREE * (1 + size[label])", "FREE", shared_factors
    ),
    "sums: a term is added that is to be subtracted": Fault(
        sums.Writer, "_sum", "np.add if weight > 0 else np.subtract", "np.add", linear_programs
    ),
    "sums: a part loses its weight": Fault(
        sums.Writer, "_factor", "self._times(x, weight)", "self._times(x, 1)", shared_factors
    ),
    "sums: numbers of the run are left out": Fault(
        sums.Writer, "_product", "in term.scalars", "in ()", linear_programs
    ),
    "sums: a lone factor keeps its axes' order": Fault(
        sums.Writer,
        "_product",
        "labels.index(k) for k in result if k in labels",
        "range(len(labels))",
        products_of_products,
    ),
    "sums: minus one is one": Fault(sums.Writer, "_times", "self._b.add(Ufunc(np.negative), x)", "x", linear_programs),
    "presummed: the first of several axes alone": Fault(
        sums.Writer, "_presummed", "Reduce(np.add, axes)", "Reduce(np.add, axes[:1])", linear_programs
    ),
    "products: letters of a transpose the wrong way round": Fault(
        products,
        "_untransposed",
        "zip(node.op.axes, letters)",
        "zip(range(len(letters)), letters)",
        products_of_products,
    ),
    "views: two transposes in the wrong order": Fault(
        Builder,
        "_normal_view",
        "node.op.axes[a] for a in op.axes",
        "op.axes[a] for a in node.op.axes",
        views_in_normal_form,
    ),
    "views: axes of size 2 move like those of size 1": Fault(
        Builder, "_normal_view", "node.shape[a] != 1", "node.shape[a] > 2", views_in_normal_form
    ),
    "views: a slice backwards is the whole": Fault(
        Builder, "_normal_view", "k[2] in (1, None)", "k[2] in (1, -1, None)", views_in_normal_form
    ),
    "equal operations: a − b is b − a": Fault(
        Builder, "_new", "(node.op, node.inputs)", "(node.op, tuple(sorted(node.inputs)))", equal_operations
    ),
    "equal operations: 0.0 is −0.0": Fault(
        Builder, "constant", "value.tobytes())", "tuple(value.reshape(-1)))", equal_operations
    ),
    "equal operations: 0 is 0.0": Fault(Builder, "constant", "value.dtype.str, ", "", equal_operations),
    "equal operations: vmap's axes don't count": Fault(
        calls.Call, "__eq__", "self.hidden == other.hidden", "True", equal_operations
    ),
    "folding: a sum of booleans is a boolean": Fault(
        operations.Reduce,
        "dtype",
        "np.ones(1, dtypes[0])).dtype",
        "np.ones(1, dtypes[0])) and dtypes[0]",
        folded_constants,
    ),
    "dead code: checks of values": Fault(Builder, "finished", "or n.op.effect", "", what_is_kept),
    "placed: a place is free after its first reader": Fault(
        assemble, "_outliving", "max(homes, default=k)", "min(homes, default=k)", placed_programs
    ),
    "placed: an operand read twice is written over": Fault(
        LoopBody, "_may_overwrite", "once and last and alike", "alike", placed_programs
    ),
    "placed: scratch for one task": Fault(
        assemble, "assembled", "body.scratch.size * body.size", "body.scratch.size", placed_programs
    ),
    "placed: sums of one loop lie at one place": Fault(
        LoopBody,
        "_sum",
        "self.partial += -(-node.size * node.dtype.itemsize // 64) * 64",
        "self.partial = 64",
        placed_programs,
    ),
    "placed: a sum begins with what was there": Fault(
        LoopBody,
        "_sum",
        "self.code.before += instructions.zeros(node.dtype, part",
        "self.code.before += instructions.copy(node.dtype, part, part",
        placed_programs,
    ),
    "placed: other cores' sums take the place of the first's": Fault(
        LoopBody,
        "_sum",
        "instructions.sum_of(node.dtype, part, whole",
        "instructions.copy(node.dtype, part, whole",
        placed_programs,
    ),
    "placed: no step from one task to the next": Fault(
        LoopBody,
        "_from_task_to_task",
        "layout if layout.slot == SCRATCH or axis is None",
        "layout if True",
        placed_programs,
    ),
    "placed: a reversed slice begins at its end": Fault(
        View, "strided", "return offset,", "return offset if min(y.strides, default=0) >= 0 else 0,", placed_programs
    ),
    "placed: scratch given back is rounded down": Fault(
        Scratch, "take", "size = self._rounded(size)", "size = size // 2 + 1", placed_programs
    ),
    "placed: a product is not added to what it accumulates": Fault(
        Product, "instruction", "1, int(self.accumulate)]", "1, 0]", placed_programs
    ),
    "dead code: results in order of their nodes": Fault(
        Builder, "finished", "for i in results)", "for i in sorted(results, reverse=True))", what_is_kept
    ),
}
