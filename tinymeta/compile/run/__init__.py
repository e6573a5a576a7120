"""Run: the placed program on the machine, or the plain one with NumPy, and the check of one by the other."""
