"""The numbers of the machine's instructions (``machine.py``), which stand without Numba, too."""

__all__ = ["CAST", "GEMM", "LOOP", "ORDINARY", "SCALE", "SUM", "TRANSPOSED", "TURNS", "WHERE"]

LOOP = 0  # a ufunc's inner loop at `address`
SCALE = 1  # out = x·y, but 0 where x is 0 and y has no number
WHERE = 2  # out = y where x, else z
CAST = 3  # out = x, float32 to float64 or back
GEMM = 4  # out = alpha x y + beta out; after the operands: transposed x, y; m, n, k; leading sizes; alpha, beta
SUM = 5  # out += the rows of x, which run along the last axis but one
TURNS = 6  # at the head: all that follows, again and again; after the number of turns, that of the slots that move

ORDINARY, TRANSPOSED = 111, 112  # in the BLAS's words, how a matrix lies
