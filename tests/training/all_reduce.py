"""A worker that does nothing but wait for the others, as training does: python -m tests.training.all_reduce"""

from tfsage.launch import launch
from tfsage.training.cluster import Cluster
from tfsage.training.peers import PeerWatch
from tfsage.training.strategy import choose_strategy, value_of_chief


def main() -> None:
    cluster = Cluster.from_environment()
    with PeerWatch(cluster) as watch:
        strategy = choose_strategy(cluster)
        watch.all_there()
        while True:
            print(value_of_chief(strategy, cluster, 7 + cluster.rank), flush=True)


if __name__ == "__main__":
    launch(main)
