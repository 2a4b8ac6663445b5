"""Property tests of patches against slow and simple oracles."""
