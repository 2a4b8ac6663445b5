"""Patches that would cost too much, or change what a patch may not."""
