"""Each exported kernel belongs to a primitive, to an optimizer's step or to the compiled machine."""

from __future__ import annotations

import ast
from functools import cache

import pytest
import tinymeta_kernels

from tests.architecture.sources import KERNELS, LOOPS, ROOMS, Source

OF_THE_PACKAGE = {"set_num_threads": {"bench"}, "one_core": {"meta"}, "warmup": {"cli"}}  # no kernels: who calls them
OWNERS = {"ops", "optim", "compile"}
MODULES = [source for source in LOOPS if not source.parts[-1].startswith("_")]


def uses(source: Source) -> set[str]:
    """The names in the kernels' package that a file reads, "tinymeta_kernels.norm.normalize" among them."""
    known: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name.startswith(KERNELS)}
        elif isinstance(node, ast.ImportFrom):
            start = ".".join([KERNELS, node.module or ""]).rstrip(".") if node.level else node.module or ""
            if start.split(".")[0] == KERNELS:
                known |= {alias.asname or alias.name: f"{start}.{alias.name}" for alias in node.names}
    read = {name for name in known.values() if name.count(".") > 1}  # `from tinymeta_kernels.machine import X`
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id in known:
            read.add(known[node.id])
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in known:
            read.add(f"{known[ast.unparse(node.value)]}.{node.attr}")
    return read


@cache
def readers() -> dict[str, set[str]]:
    """The rooms that read each name of the kernels' package."""
    where: dict[str, set[str]] = {}
    for source in [*ROOMS, *LOOPS]:
        for name in uses(source) if source.path.name != "__init__.py" or source.room != KERNELS else ():
            where.setdefault(name.rpartition(".")[2], set()).add(source.room)
    return where


def orphans(exported: dict[str, set[str]]) -> set[str]:
    """Which exported names no room reads that may: `exported` says for each module its names, "" being the package."""
    where, lonely = readers(), set()
    for module, names in exported.items():
        for name in names:
            owners = (
                OF_THE_PACKAGE.get(name, OWNERS) if not module else {*OWNERS, KERNELS, *OF_THE_PACKAGE.get(name, ())}
            )
            if not where.get(name, set()) & owners:
                lonely.add(f"{module or KERNELS}.{name}")
    return lonely


def test_every_exported_kernel_has_a_caller_in_the_product() -> None:
    assert orphans({"": set(tinymeta_kernels.__all__)}) == set()


@pytest.mark.parametrize("source", MODULES, ids=str)
def test_every_public_name_of_a_kernels_module_is_used_by_another_file(source: Source) -> None:
    module = __import__(source.module, fromlist=["__all__"])
    assert orphans({source.module: set(getattr(module, "__all__", ()))} if source.module != KERNELS else {}) == set()


def test_a_kernel_without_a_caller_is_found() -> None:
    planted = {*tinymeta_kernels.__all__, "log_softmax"}
    assert orphans({"": planted}) == {"tinymeta_kernels.log_softmax"}
    assert orphans({"tinymeta_kernels.machine": {"run", "planted"}}) == {"tinymeta_kernels.machine.planted"}
