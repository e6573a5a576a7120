"""The containers that hold a model's numbers, taken apart and put together. No calculus is known here."""
