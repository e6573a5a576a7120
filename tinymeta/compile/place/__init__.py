"""Place: which operations run together, where every array lies, and the instructions that say so.

In: a program. Out: an `Assembly`, the machine's instructions for loops over tasks, and the size of each piece of memory
they read and write. Invariant: nothing is read before it is written or after its place is given away, no address lies
outside of its array, no core reads what another writes; and each array that outlives its loop is what its operation
makes. `in_bounds.check` looks at addresses, and at the values of symbols. In reading order:

    axes.py            which axes are the same, and which one counts the tasks
    copies.py          what is copied first, so that every loop can read it
    schedule.py        the program as a sequence of loops
    layout.py          how an array lies in memory
    instructions.py    what the machine can do, and how that is written
    products.py        products of matrices, and which of these to copy
    scratch.py         places, taken and given back
    loop_body.py       one loop's instructions
    assemble.py        all of them, and what outlives its loop
    own_parts.py       whether tasks may go through the turns of a loop on their own
    decoded.py, symbols.py, memory.py, in_bounds.py    the check
"""
