"""Rules of jurisdictions as data, one file each."""
