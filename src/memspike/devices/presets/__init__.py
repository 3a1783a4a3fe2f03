"""Published parameter sets of devices: values, one file a source."""
