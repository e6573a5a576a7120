"""Random programs, compiled and eager: whether any of them gives another number.

    python -m tests.fuzz networks --count 1000 --seed 7

`networks.py` draws networks of every layer under every learner, `arrays.py` programs over the whole array API, and
`builder.py` programs in the compiler's own vocabulary. What each may draw is enumerated from the library: what is new
there and has no strategy here makes a test fail. `agreement.py` says what counts as the same number, and `shrink.py`
makes a program that fails as short as it goes. What is run by `__main__.py` for as long as one likes is run by
`test_fuzz.py` for a few seconds.
"""
