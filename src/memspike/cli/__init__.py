"""The command line: one file a verb. It starts without JAX."""

from memspike.cli.app import app as app
from memspike.cli.app import main as main
from memspike.cli.data import data_app as data_app
