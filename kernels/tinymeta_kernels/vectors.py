"""LLVM's instructions on vectors, as wide as this processor has them: what the products of ours are written in.

A `Writer` puts them at the place of an LLVM builder, in the code of a Numba intrinsic. The last vector of a row is
masked: of the lanes from `last` on nothing is read or written.
"""

from collections.abc import Sequence

from llvmlite import binding, ir
from llvmlite.ir import Value
from numba import config

__all__ = ["I32", "I64", "VECTOR", "Value", "Writer", "integer"]


def _vector() -> int:
    """The bytes of a vector that this processor multiplies and adds in one go; 0 if they aren't worth it."""
    if config.CPU_NAME:  # somebody asks for machine code for another processor
        return 0
    features = binding.get_host_cpu_features()
    wide = next((size for name, size in (("avx512f", 64), ("avx2", 32)) if features.get(name)), 0)
    return wide if features.get("fma") else 0


VECTOR = _vector()
I32, I64 = ir.IntType(32), ir.IntType(64)


def integer(number: int) -> Value:
    """A constant of 64 bits."""
    return ir.Constant(I64, number)


class Writer:
    """Writes LLVM's instructions on vectors of a type of numbers."""

    def __init__(self, builder: Value, real: Value, bits: int, last: Value) -> None:
        self.builder, self.real, self.item = builder, real, bits // 8
        self.lanes = VECTOR // self.item
        self.vector = ir.VectorType(real, self.lanes)
        self._name, self._masks = f"v{self.lanes}f{bits}", ir.VectorType(ir.IntType(1), self.lanes)
        self.zero = ir.Constant(self.vector, [ir.Constant(real, 0.0)] * self.lanes)
        self.mask(last)

    def mask(self, last: Value) -> None:
        """From now on, masked vectors have so many lanes (all, if these are more)."""
        places = ir.Constant(ir.VectorType(I64, self.lanes), [integer(x) for x in range(self.lanes)])
        self._mask = self.builder.icmp_signed("<", places, self.splat(last))

    def splat(self, number: Value) -> Value:
        """A vector of one number."""
        nothing = ir.Constant(ir.VectorType(number.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [ir.Constant(I32, 0)] * self.lanes)
        return self.builder.shuffle_vector(first, nothing, zeros)

    def at(self, address: Value, index: Value) -> Value:
        """The address of the number that is so many from this one."""
        return self.builder.add(address, self.builder.mul(index, integer(self.item)))

    def number(self, address: Value) -> Value:
        found = self.builder.load(self.builder.inttoptr(address, self.real.as_pointer()))
        found.align = self.item
        return found

    def load(self, address: Value, masked: bool) -> Value:
        """A vector; of a masked one the lanes from `last` on are 0, and not read."""
        place = self.builder.inttoptr(address, self.vector.as_pointer())
        if masked:
            return self._call("masked.load", "p0", [place, ir.Constant(I32, self.item), self._mask, self.zero])
        found = self.builder.load(place)
        found.align = self.item
        return found

    def store(self, vector: Value, address: Value, masked: bool) -> None:
        place = self.builder.inttoptr(address, self.vector.as_pointer())
        if masked:
            self._call("masked.store", "p0", [vector, place, ir.Constant(I32, self.item), self._mask], ir.VoidType())
        else:
            self.builder.store(vector, place).align = self.item

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x·y + z, rounded once."""
        return self._call("fma", "", [x, y, z])

    def total(self, vector: Value) -> Value:
        """The sum of a vector's numbers: of halves, of halves of these, and so on."""
        while (half := vector.type.count // 2) > 0:
            low, high = (
                self.builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(I32, half), list(lanes)))
                for lanes in (range(half), range(half, 2 * half))
            )
            vector = self.builder.fadd(low, high)
        return self.builder.extract_element(vector, ir.Constant(I32, 0))

    def _call(self, what: str, suffix: str, given: Sequence[Value], result: Value = None) -> Value:
        name = ".".join(filter(None, ("llvm", what, self._name, suffix)))
        form = ir.FunctionType(result or self.vector, [x.type for x in given])
        found = self.builder.module.globals.get(name) or ir.Function(self.builder.module, form, name)
        return self.builder.call(found, given)
