"""The engine, in reading order: tensor, primitive, sweep; then structure, transforms, vmap, tree, state, errors."""
