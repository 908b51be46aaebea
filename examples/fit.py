"""ItemSage with plain Keras: build the model, compile, fit.

tfsage synth --products 2000 --out shop
tfsage prepare --tables shop --config configs/demo.yaml --out shop-data
python -m examples.fit shop-data configs/demo.yaml
"""

import sys

import tfsage
from tfsage.embedding import embed_products, embed_queries


def main(data_folder: str, config_file: str, epochs: int = 2, steps_per_epoch: int = 50) -> None:
    config = tfsage.load_config(config_file)
    data = tfsage.PreparedData(data_folder)

    model = tfsage.ItemSage(config, data)
    model.compile()
    dataset = model.dataset()
    model.fit(dataset, epochs=epochs, steps_per_epoch=steps_per_epoch)

    products = embed_products(model.towers["product"], data)
    query = embed_queries(model.towers["text"], data, "query", rows=[0])
    best = (products @ query[0]).argsort()[::-1][:5]
    print(f"\nNearest to {data.queries('query').texts[0]!r}:")
    for row in best:
        print(f"  {products[row] @ query[0]:.3f}  {data.titles[row]}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
