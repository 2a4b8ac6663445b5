"""Exports of systems that have no interface: CSV files and photographs in a ZIP. Pure but for the archive itself."""
