"""The one exception of the commands: something asked for cannot be done, and why."""


class CommandError(Exception):
    """The message is for the operator."""
