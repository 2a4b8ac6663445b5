"""clients: programs that others wrote, as they are, against the running server."""
