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
            (`convolution.py`, `products.py`), and pooling looks through the same windows (`pooling.py`).
program/    `operations.py` and `views.py` are those kinds, and each says all about itself (`calls.py`: what is left to
            Python); `program.py` keeps one of equal operations, runs at once what depends on constants alone, and
            drops what no result needs.
            Invariant: every node is what its operation makes of its inputs (`well_formed.py`, `writing.py`).
rewrite/    `rule.py` says what a rewriting rule is; `factor.py` is one, with `expansion.py`, `contraction.py` and
            `sums.py`: it keeps products of matrices factored, for it knows that a few-shot update has low rank.
            Invariant: node for node the numbers of the program before (`equation.py`).
place/      `axes.py` finds the axis that counts tasks, `copies.py` says what is copied first to lie well, and
            `schedule.py` cuts the program into loops over that axis; `loop_body.py` and `assemble.py` place every
            buffer (`layout.py`, `scratch.py`) and write instructions (`instructions.py`, `products.py`).
            Invariant: nothing is read before it is written or after its place is given away, no address lies outside
            of its array (`in_bounds.py`, which reads the instructions back, `decoded.py`, on symbols in place of
            numbers: `symbols.py`, `memory.py`).
run/        `machine.py` hands the instructions to a compiled loop that reads them (`tinymeta_kernels/machine.py`), on
            as many cores as they are worth (`tinymeta_kernels/crew.py`). `replay.py` does without: plain NumPy calls.
            Invariant: both give the numbers of the eager run (`selfcheck.py`, with `rounding.py` and `part.py`; what
            is wrong becomes a file, `reproducer.py`).

`verify.py` says when the stages check one another: in every test, and under TINYMETA_CHECK=1.

What runs, for a MAML step:

    for each core:                                         tasks are independent until their mean
        for each block of its tasks:                       a block's arrays stay in the core's cache
            for each instruction:                          x W, relu, xᵀ g, …, the sweeps of both levels
                NumPy's inner loop, or BLAS, by address    the same arithmetic as in eager code, without Python
            sums over tasks += the block's part            xᵀ g with the tasks folded into the product
    add up the cores' sums
    the outer optimizer, in tiles of a few thousand elements

Compiling costs a few hundred Python calls per operation and never calls a compiler: the one loop that reads
instructions is compiled once per machine and cached on disk, so a program's first step comes soon.
"""

from tinymeta.compile.compiled import compile as compile
