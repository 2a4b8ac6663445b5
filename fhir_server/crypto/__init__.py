"""Seals, keys, tokens and signatures: the only package that knows the cryptography library.

Nothing here reads a clock, a setting or a network; providers/ alone touches the outside.
"""
