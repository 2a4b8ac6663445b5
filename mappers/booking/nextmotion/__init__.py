"""NextMotion: webhooks that prove little (`webhooks`), and what its API answers about appointments and patients."""
