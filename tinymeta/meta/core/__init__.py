"""The inner loop, the outer loop, and what both are measured by."""
