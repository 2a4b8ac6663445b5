"""Tests of the load driver: what it says of a server must be true."""
