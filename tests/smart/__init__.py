"""The authorization server over HTTP, on a real MongoDB: what R-SMART and R-IUA ask for."""
