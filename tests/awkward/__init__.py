"""Folders, files and options that are awkward, each read right or refused in a sentence: `python -m tests.awkward`."""
