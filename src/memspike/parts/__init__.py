"""What every part of the library is made of: fields with units, registries, tables, files, draws."""
