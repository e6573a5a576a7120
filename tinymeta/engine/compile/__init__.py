"""`tm.compile`: record once, optimise, plan, run.  (Read the files in the order in which they are named here.)

A meta-learning step on a small network is a thousand operations on small arrays. Run eagerly, most of the time goes
to Python: Tensors, the record, the sweep, one NumPy call after the other. The operations are the same in every step,
so they need finding out only once.

Record      `compiled.py` compares the arguments with those of earlier calls (`arguments.py`, `key.py`, `variants.py`)
            and what the function reaches with what it was (`reached.py`, `captured.py`); `surroundings.py` refuses what
            can't be recorded (`random_draws.py`, `written.py`); `record.py` runs the function under a
            Watcher, which sees every operation, those of sweeps included, and `translate.py` and `formulas.py` write
            it down in the dozen kinds of operations of `operations.py` and `views.py`, where a convolution is a
            product of matrices (`convolution.py`, `products.py`), and pooling looks through the same windows
            (`pooling.py`).
Optimise    `program.py` keeps one of equal operations, runs at once what depends on constants alone, and drops what
            no result needs. `factor.py` with `network.py` and `sums.py` keeps products of matrices factored: the pass
            that knows that a few-shot update has low rank.
Plan        `parallel.py` finds the axis that counts tasks, `schedule.py` cuts the program into loops over it,
            `assemble.py` and `block.py` place every buffer (`layout.py`, `room.py`) and write instructions
            (`instructions.py`); `moves.py` copies a matrix first where a product would read it badly.
Run         `machine.py` hands the instructions to a compiled loop that reads them (`tinymeta_kernels/machine.py`), on
            as many cores as they are worth (`tinymeta_kernels/crew.py`).
            `replay.py` does without: plain NumPy calls, and the oracle of the tests.
Verify      under TINYMETA_CHECK=1 the stages check one another (`verify.py`): a program (`verify_program.py`) and what
            its writer does (`verify_rules.py`), its rewriting (`verify_rewritten.py`), and what is placed, on symbols
            in place of numbers (`verify_placed.py`, `verify_memory.py`, `symbols.py`).

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

from tinymeta.engine.compile.compiled import compile as compile
