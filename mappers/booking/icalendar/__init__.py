"""iCalendar and iTIP (RFC 5545, 5546), in and out."""
