"""Learning the learning rule: step sizes, losses, optimizers, strategies, and the data themselves."""
