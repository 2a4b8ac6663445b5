"""Backups that somebody altered."""
