"""`SECURITY.md`: each promise names tests that exist, and the network is where it says."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import PRODUCT, ROOT, imports

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
NETWORK = {"socket", "ssl", "urllib", "http", "ftplib", "smtplib", "socketserver", "xmlrpc", "asyncio", "distributed"}
# `tinymeta data`, a cluster that the user names, and a folder's lock, which asks for this machine's name.
MAY = {"tinymeta/tasks/download.py", "tinymeta/meta/spread/cluster.py", "tinymeta/io/folder.py"}


def test_each_promise_names_tests() -> None:
    promises = re.findall(r"^- \*\*.*?(?=^- \*\*|^## |\Z)", PAGE, re.M | re.S)
    without = [promise[:60] for promise in promises if not re.search(r"`tests/.*::test_", promise)]
    assert len(promises) > 10 and not without, without


def test_the_tests_that_it_names_exist() -> None:
    assert len(NAMED) > 15
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"


def test_only_downloads_and_clusters_know_the_network() -> None:
    found = {str(source) for source in PRODUCT if any(name.split(".")[0] in NETWORK for name, _ in imports(source))}
    assert found == MAY
