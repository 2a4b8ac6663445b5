"""Calendly: signed webhooks (`signature`) about invitees (`invitees`)."""
