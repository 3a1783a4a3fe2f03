"""Measured files as instruments and people write them → tables: one format a file, found by content."""
