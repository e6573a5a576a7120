"""`tinymeta bench`: the workloads of the design beside JAX, PyTorch and HIPS autograd, in one run.

Read workloads.py (what is computed, written once for all frameworks), backends.py (what each framework
calls things), worker.py (one process of a contender), contender.py (its processes, turns and rounds), peak.py (how
fast the machine is), contest.py (agreement, medians, the table).
"""
