"""Professional bodies: their rules as data, who stands under them, and whether what was done keeps them."""
