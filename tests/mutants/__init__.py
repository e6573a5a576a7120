"""Small faults planted in the product, one at a time, and which of them the tests don't see."""
