"""Figures and the self-contained report of a run; reads results and runs nothing."""

from memspike.report.array_figures import array_figure as array_figure
from memspike.report.device_figures import plot_device as plot_device
from memspike.report.device_figures import write_device as write_device
from memspike.report.fit_page import write_fit as write_fit
from memspike.report.ledger_figures import cost_figure as cost_figure
from memspike.report.ledger_figures import pulse_maps as pulse_maps
from memspike.report.online_figures import cumulative_curve as cumulative_curve
from memspike.report.page import write_report as write_report
from memspike.report.stdp_figures import stdp_window as stdp_window
from memspike.report.stdp_figures import window_figure as window_figure
from memspike.report.write_figures import write_figure as write_figure
