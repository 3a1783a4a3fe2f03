"""Learner, the one training loop, evaluation, aging, costs, run folders."""
