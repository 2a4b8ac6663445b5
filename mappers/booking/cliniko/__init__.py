"""Cliniko sends nothing, so it is asked (`polling`) about `appointments` and `patients`."""
