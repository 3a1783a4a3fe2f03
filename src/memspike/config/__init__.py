"""Names, TOML files and key=value texts → tables → objects."""
