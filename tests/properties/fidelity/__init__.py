"""What goes in comes out: any JSON text, through every way that a resource takes."""
