"""Policies that learn: policy gradients, trust regions, and meta-learning over both."""
