"""Cal.com: signed webhooks (`signature`) about bookings (`bookings`)."""
