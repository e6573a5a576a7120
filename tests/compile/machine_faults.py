"""Faults of what is placed in memory, written as instructions, and run: one for each rule, and of the replay."""

from __future__ import annotations

from tests.compile.machine_witnesses import (
    a_copy_as_a_result,
    a_product_of_repeated_rows,
    a_reshape_of_a_transpose,
    a_result_that_is_read_early,
    a_sum_over_the_tasks,
    a_view_that_is_read_late,
    instruction,
    large_sums_over_the_tasks,
    lone_numbers_that_python_makes,
    random_programs,
    random_reductions,
    random_scatters,
    read_after_it_could_be_overwritten,
    results_that_are_held,
    sums_of_parts,
    sums_of_rows,
    sums_with_steps,
    the_largest_of_negative_numbers,
    tiles_of_a_copy_that_lies_otherwise,
    tiles_that_others_read,
    values_between_loops,
)
from tests.compile.planted import Fault
from tinymeta.compile.place import assemble, copies, instructions, products
from tinymeta.compile.place.loop_body import LoopBody
from tinymeta.compile.place.products import Product
from tinymeta.compile.place.schedule import Schedule
from tinymeta.compile.program.program import Program
from tinymeta.compile.program.views import Reshape, View
from tinymeta.compile.run import machine as machine_of
from tinymeta.compile.run.machine import Machine

FAULTS = {
    "kind 3: the address of a temporary": Fault(
        machine_of, "_packed", "type(x) is np.ndarray and x.flags", "x.flags", lone_numbers_that_python_makes
    ),
    "kind 4: a loop with strides that it was not tried with": Fault(
        instructions, "_loop", "contract.holds(name, tuple(dtypes), choice[-1].strides, in_place)", "True",
        sums_with_steps,
    ),
    "scratch: a block's place is given back after its first reader": Fault(
        LoopBody, "__init__", "max((self.joined", "min((self.joined",
        read_after_it_could_be_overwritten,
    ),
    "arena: a place between loops is given back too early": Fault(
        assemble, "_outliving", "else max(homes, default=k)", "else k", values_between_loops
    ),
    "arena: a result's place is given back": Fault(
        assemble, "_outliving", "len(schedule.loops) if i in results else ", "", values_between_loops
    ),
    "overwrite: an input that is read later": Fault(
        LoopBody, "_may_overwrite", "and x in self.ends.get(i, ())", "", read_after_it_could_be_overwritten
    ),
    "overwrite: an input that is read in two ways": Fault(
        LoopBody, "_may_overwrite", ".count(x) == 1", ".count(x) >= 1", read_after_it_could_be_overwritten
    ),
    "step: each task is the first": Fault(
        LoopBody, "_from_task_to_task", "task_stride=layout.strides[axis]", "task_stride=0", a_sum_over_the_tasks
    ),
    "offset: a slice begins one too late": Fault(
        View, "strided", "return offset, tuple(", "return offset + 8 * (offset > 0), tuple(", random_programs
    ),
    "layout: a reshape of what has no such strides": Fault(
        Reshape, "strided", "elif s == size * apart:", "elif True:", a_reshape_of_a_transpose
    ),
    "layout: axes joined that are no neighbours": Fault(
        instructions, "nested", "and all(a ==", "and any(a ==", instruction("SCALE")
    ),
    "layout: a reshape without a copy in front": Fault(
        copies, "_view", "_rearranges(b, node, (x,)) and", "False and", a_reshape_of_a_transpose
    ),
    "layout: a result in another order of axes": Fault(
        assemble, "_layout", "slot == ARENA and ", "", a_copy_as_a_result
    ),
    "rows: the first of the operand's axes": Fault(
        LoopBody, "_rows", "{x: letters.index(letter) for x", "{x: 0 for x", large_sums_over_the_tasks
    ),
    "rows: the first one alone": Fault(
        Schedule, "_kind", '("rows", node.shape[rows])', '("rows", 1)', large_sums_over_the_tasks
    ),
    "schedule: tiles of what doesn't lie in row-major order": Fault(
        Schedule, "__init__", "self.row_major.update(self.roots[x] for i in", "_ = list(self.roots[x] for i in",
        tiles_of_a_copy_that_lies_otherwise,
    ),
    "schedule: tiles that don't write in row-major order": Fault(
        Schedule, "__init__", "for x in (i, *self.nodes[i].inputs)", "for x in self.nodes[i].inputs",
        tiles_that_others_read,
    ),
    "schedule: a sum over tasks is read before it is whole": Fault(
        Schedule, "_loop", "and not self.axes.sums[self.roots[x]]", "", a_sum_over_the_tasks
    ),
    "reduction: begins anywhere": Fault(
        LoopBody, "_instructions", "[] if self.schedule.sums(i) else", "[] and", random_reductions
    ),
    "sums of rows: ones of the other dtype": Fault(
        instructions, "_sums_of_rows", "0 if item == 4 else 4 * ROW", "0", sums_of_rows
    ),
    "sums of rows: as far apart as they are long": Fault(
        instructions, "_sums_of_rows", "[rows.strides[1] // item, 1,", "[run.size, 1,", sums_of_rows
    ),
    "reduction: a maximum begins with zero": Fault(
        LoopBody, "_begun", "if op.adds", "if True", the_largest_of_negative_numbers
    ),
    "scatter: nothing is cleared": Fault(
        LoopBody, "_scattered", "if not onto and not op.covers(", "if False and not op.covers(", random_scatters
    ),
    "sum in place: both operands are added to nothing": Fault(LoopBody, "_joined", "both[-1:]", "both", sums_of_parts),
    "sum in place: written over a part that is added": Fault(
        LoopBody, "_may_join", "and roots[self.nodes[x].inputs[0]] != roots[other]", "", sums_of_parts
    ),
    "sum in place: without the other operand": Fault(
        LoopBody, "_instructions", "[] if before == out else", "[] if True else", sums_of_parts
    ),
    "scatter: windows that overlap are copied": Fault(
        LoopBody, "_scattered", "if onto or op.overlaps", "if onto", random_scatters
    ),
    "sums: the second core's part is not added": Fault(
        LoopBody, "_sum", "self.code.rest += ", "_ = ", a_sum_over_the_tasks
    ),
    "sums: a core begins with what was there": Fault(
        LoopBody, "_sum", "self.code.before += ", "self.code.before += [] and ", a_sum_over_the_tasks
    ),
    "product: added to what was there": Fault(
        Product, "instruction", "int(self.accumulate)]", "1]", instruction("GEMM")
    ),
    "product: transposes are forgotten where the result is one": Fault(
        Product, "instruction", "(swap[b_form[0]], b_form[1])", "b_form", instruction("GEMM")
    ),
    "product: rows that are too close": Fault(
        products, "_form", "and outer >= width.size * item", "", a_product_of_repeated_rows
    ),
    "reduction: another axis than asked for": Fault(
        instructions, "reduction", "0 if k in op.axes else next(kept)", "next(kept, 0)", instruction("SUM")
    ),
    "machine: an argument is taken as if it were packed": Fault(
        machine_of, "_packed", "x.flags.c_contiguous and x.flags.aligned", "x.flags.aligned", random_programs
    ),
    "machine: a result is written over while it is held": Fault(
        machine_of.Recycled, "take", "sys.getrefcount(x) == ALONE", "True", results_that_are_held
    ),
    "machine: a result shares the machine's memory": Fault(
        Machine, "__call__", "np.array(self._value(i, values, space))", "self._value(i, values, space)",
        results_that_are_held,
    ),
    "machine: one array for two results": Fault(
        Machine, "__init__", "i in fresh and i not in program.results[:k]", "i in fresh",
        results_that_are_held,
    ),
    "replay: an array is let go of before its last reader": Fault(
        Program, "last_read", "ends[x]", "min(ends[x], x + 1)", a_view_that_is_read_late
    ),
    "replay: a result is let go of": Fault(
        Program, "last_read", "ends.keys() - self.results", "ends", a_result_that_is_read_early
    ),
}  # fmt: skip
