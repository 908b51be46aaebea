"""`python -m export.index`: indexes the embeddings of a bundle."""

from export.command import BundleFolder, RunFolder, bundle_folder, done, make_app
from tfsage.launch import launch

app = make_app()


@app.command(epilog="Example: python -m export.index --run runs/demo")
def main(run: RunFolder = None, bundle: BundleFolder = None) -> None:
    """Build the index and tune it on held-out queries until it recalls what exact search finds."""
    from tfsage.quiet import quiet_keras_nlp

    folder = bundle_folder(run, bundle)
    quiet_keras_nlp()
    from export.tune_index import tune_index
    from tfsage.bundle import Bundle
    from tfsage.config import ExportConfig
    from tfsage.training.run import Run

    opened = None if run is None else Run.open(run)
    settings = ExportConfig() if opened is None else opened.config.export
    summary = tune_index(Bundle.open(folder), opened, settings.recall_target).manifest.index
    found = f"recall@{summary.k} {summary.recall:.3f} on {summary.tuned_on} that did not tune it"
    done(f"{summary.kind} index, {found}, in {folder / 'index'}")


if __name__ == "__main__":
    launch(app)
