"""What may go wrong around a mapping. No message quotes a patient's data, a key or an address with a key in it."""


class NotNowError(Exception):
    """The server, or a source, cannot be reached or is not able to: whoever sent it shall send it again."""


class SetupError(Exception):
    """It will not work until somebody changes a setting or a registration."""


class RejectedError(Exception):
    """The server does not take this transaction, and will not take it again."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"The server answered {status} ({code}).")
        self.status = status


class OvertakenError(Exception):
    """Somebody else wrote what the transaction relied on: look again."""
