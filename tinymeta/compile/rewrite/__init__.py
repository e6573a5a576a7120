"""Rewrite: the same results by fewer operations."""
