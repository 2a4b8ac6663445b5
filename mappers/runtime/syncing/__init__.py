"""Keeps our server and another one in step: what changed on either side is looked at on both."""
