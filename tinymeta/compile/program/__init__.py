"""The program: a list of operations, what each computes, and what a program must satisfy."""
