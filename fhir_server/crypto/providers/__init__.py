"""Where the root key lives: one module for each kind of place, all behind port.RootKeyProvider."""
