"""Pabau: webhooks that prove nothing (`webhooks`), and what its API answers about appointments and clients."""
