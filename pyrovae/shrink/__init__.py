"""Doing with less: pruning of what carries nothing, and the search for enough capacity."""
