"""What the clinic must be able to show of itself: the register, and what a regulator is given of it."""
