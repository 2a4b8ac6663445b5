"""Benchmarks: the main paths of the server beside floors that do as little as can be done, in the same run."""
