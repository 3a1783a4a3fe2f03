"""Figures and the self-contained report of a run; reads results and runs nothing."""

from memspike.report.page import write_report as write_report
