"""Algorithms that learn a task from its support set, one a file."""
