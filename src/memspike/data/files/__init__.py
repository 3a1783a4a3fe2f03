"""Data sets from files of one's own: one format a file, found by content."""
