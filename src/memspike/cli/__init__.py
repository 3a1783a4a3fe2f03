"""The command line: one file a verb."""

from memspike.cli.main import app as app
from memspike.cli.main import data_app as data_app
from memspike.cli.main import main as main
