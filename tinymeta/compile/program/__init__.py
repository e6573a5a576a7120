"""The program: a list of operations, what each computes, and what a program must satisfy.

In: operations, one at a time, from whoever writes a program. Out: a program without operations that are equal, fold to
a constant, or that nobody needs. Invariant: every node is what its operation makes of its inputs, all of which stand
before it; `well_formed.check` looks at all nodes, `writing.py` at each merit of the writer as it is used. In reading
order: `operations.py` and `views.py` are the vocabulary, `calls.py` is what it leaves to Python; `program.py` writes;
`well_formed.py` and `writing.py` check.
"""
