"""`tinymeta bench`: the workloads of the design beside JAX and PyTorch, in one run.

Read workloads.py (what is computed, written once for all frameworks), backends.py (what each framework
calls things), worker.py (one contender in a process of its own), contest.py (rounds, medians, the table).
"""
