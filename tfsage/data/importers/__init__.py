"""Known public datasets, turned into the tables that `tfsage prepare` reads."""

from pathlib import Path

from tfsage.data.importers.fashion_products import import_fashion_products
from tfsage.data.importers.home_depot import import_home_depot
from tfsage.data.importers.taobao_ehcf import import_taobao_ehcf
from tfsage.data.staging import staged_folder
from tfsage.errors import TfsageError

IMPORTERS = {
    "home_depot": import_home_depot,
    "fashion_products": import_fashion_products,
    "taobao_ehcf": import_taobao_ehcf,
}


def import_dataset(name: str, source: str | Path, out: str | Path) -> None:
    """Turns a dataset into tables.

    Args:
        name: one of `IMPORTERS`.
        source: the folder with the dataset's own files; each importer's module names them.
        out: the tables; the folder appears when it is complete.

    Raises:
        TfsageError: the name is unknown, or a file is missing or is not what the dataset's file should be.
    """
    if name not in IMPORTERS:
        raise TfsageError(f"import: no dataset named {name!r}; there are {', '.join(IMPORTERS)}")
    with staged_folder(out, "products.parquet") as folder:
        IMPORTERS[name](Path(source), folder)


__all__ = ["IMPORTERS", "import_dataset"]
