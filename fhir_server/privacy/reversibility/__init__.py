"""Everything back to the controller, for another host: an archive that only the recipient opens, and what is in it."""
