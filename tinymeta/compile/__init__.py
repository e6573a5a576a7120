"""`tm.compile`: record once, optimise, plan, run.  (Read the files in the order in which they are named here.)

A meta-learning step on a small network is a thousand operations on small arrays. Run eagerly, most of the time goes
to Python: Tensors, the record, the sweep, one NumPy call after the other. The operations are the same in every step,
so they need finding out only once.

Each stage is a folder, with the invariant of what it makes beside it:

call        `compiled.py` compares the arguments with those of earlier calls (`arguments.py`, `key.py`, `variants.py`);
            `first.py` chooses what is to run for new ones, and has its first results checked.
record/     `surroundings.py` compares what the function reaches with what it was (`reached.py`, `captured.py`) and
            refuses what can't be recorded (`random_draws.py`, `written.py`); `recording.py` runs the function under a
            Watcher, which sees every operation, those of sweeps included, and fused ones as what they are in others;
            `translate.py` writes them down in a dozen kinds of operations, where a convolution is a product of matrices
            (`convolution.py`, `products.py`), and pooling looks through the same windows (`pooling.py`). Of a scan one
            turn is recorded, for all (`body.py`).
program/    `operations.py` and `views.py` are those kinds, and each says all about itself (`calls.py`: what is left to
            Python, `loop.py`: what runs turn after turn); `program.py` keeps one of equal operations, runs at once what
            depends on constants alone, and drops what no result needs.
            Invariant: every node is what its operation makes of its inputs (`well_formed.py`, `writing.py`).
rewrite/    `rule.py` says what a rewriting rule is; `factor.py` is one, with `expansion.py`, `contraction.py` and
            `sums.py`: it keeps products of matrices factored, for it knows that a few-shot update has low rank.
            `all_turns.py` takes out of a loop what its turns needn't wait for.
            Invariant: node for node the numbers of the program before (`equation.py`, `turn_by_turn.py`).
place/      `axes.py` finds the axis that counts tasks, `copies.py` says what is copied first to lie well, and
            `schedule.py` cuts the program into loops over that axis; `loop_body.py` and `assemble.py` place every
            buffer (`layout.py`, `scratch.py`) and write instructions (`instructions.py`, `products.py`).
            Invariant: nothing is read before it is written or after its place is given away, no address lies outside
            of its array (`in_bounds.py`, which reads the instructions back, `decoded.py`, on symbols in place of
            numbers: `symbols.py`, `memory.py`).
run/        `machine.py` hands the instructions to a compiled loop that reads them (`tinymeta_kernels/machine.py`), on
            as many cores as they are worth (`tinymeta_kernels/crew.py`), and in one call for all turns of a loop
            (`turns.py`). `replay.py` does without: plain NumPy calls.
            Invariant: both give the numbers of the eager run (`selfcheck.py`, with `rounding.py`, `part.py` and
            `few_turns.py`; what is wrong becomes a file, `reproducer.py`).

`verify.py` says when the stages check one another: in every test, and under TINYMETA_CHECK=1.

What runs, for a MAML step:

    for each core:                                         tasks are independent until their mean
        for each block of its tasks:                       a block's arrays stay in the core's cache
            for each instruction:                          x W, relu, xᵀ g, …, the sweeps of both levels
                NumPy's inner loop, or BLAS, by address    the same arithmetic as in eager code, without Python
            sums over tasks += the block's part            xᵀ g with the tasks folded into the product
    add up the cores' sums                                 large ones (a layer's gradient) are made here, in rows
    the outer optimizer, in tiles of a few thousand elements

Compiling costs a few hundred Python calls per operation and never calls a compiler: the one loop that reads
instructions is compiled once per machine and cached on disk, so a program's first step comes soon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, overload

from tinymeta.engine.typing import Function, Y

if TYPE_CHECKING:
    from tinymeta.compile.compiled import Compiled


@overload
def compile(
    f: Callable[..., Y], *, static_argnames: str | Iterable[str] = (), factor: bool = True, check: bool = True
) -> Compiled[Y]: ...
@overload
def compile(
    *, static_argnames: str | Iterable[str] = (), factor: bool = True, check: bool = True
) -> Callable[[Callable[..., Y]], Compiled[Y]]: ...
def compile(
    f: Function | None = None,
    *,
    static_argnames: str | Iterable[str] = (),
    factor: bool = True,
    check: bool = True,
) -> Any:
    """`f`, recorded once and replayed: the same results in a fraction of the time.

    Shapes: those of f; other ones are another recording.
    Raises: UserError for what a recording can't hold (see the notes). It names the line or the attribute, and the way
    out: `tm.compile(lambda x: x if x > 0 else -x)(np.float32(1.0))`.

    Parameters
    ----------
    f
        A function of pytrees (Modules, optimizer states, episodes, …) that gives a pytree. Without it, `compile`
        is a decorator with options.
    static_argnames
        Names of arguments that are part of the program: numbers that set a loop's length, flags, functions. Each
        new value is recorded anew. Other Python numbers may change from call to call; strings and booleans are
        always static.
    factor
        Whether products of matrices may be reordered where that saves operations (`factor.py`). Results then
        agree with eager ones to rounding.
    check
        Whether the first call of each recording is compared with the plain way (`selfcheck.py`). If it differs by
        more than rounding explains, the caller gets the right numbers, a `tm.CompileWarning` names the stage at
        fault and a file that shows it, and the plain way runs from then on.

    Notes
    -----
    Everything besides operations on Tensors happens once, while recording: prints, and appends to lists and counts
    that the function only writes. A recording keeps only the first number of a large result, so that is what a print
    shows everywhere; where an operation refuses such numbers, the function is run once more with the real ones.

    What the function reaches besides its arguments is part of the program, and looked at in every call: what it
    closes over, the globals and attributes that its code names, defaults, the arguments' settings. Where something
    has changed, the function is recorded anew. A Tensor that was replaced (`t.w = t.step(x)`) is read anew from then
    on, without another recording; an array is compared number by number, so a large one is better an argument.
    64 recordings are kept.

    Errors are: a Python decision that depends on a Tensor's value; randomness drawn inside; a clock or an iterator
    that the result depends on; a change of state that the function also reads, or that keeps a Tensor. What an
    operation refuses by value (a label out of range, a singular matrix) is an error in every call. Environment
    variables, files, and state inside of other libraries are read once. Inside `grad` or `vmap` a compiled function
    runs as if it weren't compiled.

    Examples
    --------
    >>> tm.compile(lambda x: tm.sum(x * x))(np.array([1.0, 2.0]))
    tensor(5.)
    """
    from tinymeta.compile.compiled import Compiled  # with all stages: who compiles nothing doesn't wait for them

    if f is None:
        return lambda f: compile(f, static_argnames=static_argnames, factor=factor, check=check)
    return Compiled(f, static_argnames, factor, check)
