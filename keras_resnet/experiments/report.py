"""Writes the tables and figures of all finished runs of an experiment."""

from pathlib import Path

from keras_resnet.experiments.figures import draw_curves, draw_gradients, draw_responses
from keras_resnet.experiments.records import read_records, write_whole
from keras_resnet.experiments.summary import summarize
from keras_resnet.experiments.tables import main_csv, main_table, remedies_table, runs_csv


def write_report(folder):
    """Writes `runs.csv`, the tables and the figures into an experiment's folder.

    Args:
        folder: path of the experiment's folder.
    """
    folder = Path(folder)
    records = read_records(folder / "runs")
    summaries = summarize(records)
    nets = [s for s in summaries if s.run.remedy is None]
    write_whole(folder / "runs.csv", runs_csv(records))
    write_whole(folder / "table.md", main_table(nets))
    write_whole(folder / "table.csv", main_csv(nets))
    remedies = remedies_table(summaries)
    if remedies is not None:
        write_whole(folder / "remedies.md", remedies)
    if nets:
        draw_curves(nets, folder / "curves.png")
        draw_gradients(nets, folder / "gradients.png")
    if any(s.finished for s in nets):
        draw_responses(nets, folder / "responses.png")
