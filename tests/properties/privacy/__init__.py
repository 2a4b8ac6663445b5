"""Property tests of what may be erased."""
