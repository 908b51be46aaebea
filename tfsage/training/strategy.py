"""Which devices share the work; the one place where that is decided."""

import signal
import threading

import tensorflow as tf

from tfsage.errors import TfsageError
from tfsage.training.cluster import Cluster


def choose_strategy(cluster: Cluster, replicas: int | None = None) -> tf.distribute.Strategy:
    """The strategy for what this process finds itself with.

    | there are | strategy |
    |---|---|
    | several workers | `MultiWorkerMirroredStrategy`: on each worker all its GPUs, or its CPU |
    | several GPUs | `MirroredStrategy` over the first `replicas` of them, all by default |
    | no GPUs, `replicas` > 1 | `MirroredStrategy` over as many logical CPU devices |
    | anything else | TensorFlow's default: one device |

    Workers that one command started on this host divide its GPUs among them. To be called before TensorFlow has run
    anything, since devices are laid out once in the life of a process. Among several workers it returns when all of
    them are there.

    Args:
        cluster: the workers.
        replicas: devices wanted; None leaves it to what there is.

    Raises:
        TfsageError: there are not as many GPUs, this worker's port is taken, or TensorFlow was in use before.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if cluster.size > 1:
        if replicas is not None:
            raise TfsageError(
                "replicas: every one of several workers uses all its GPUs, or its CPU; leave --replicas out, "
                "or hide GPUs from a worker with CUDA_VISIBLE_DEVICES"
            )
        if cluster.launcher and gpus:
            _lay_out(lambda: tf.config.set_visible_devices(_share(gpus, cluster), "GPU"))
        return _several_workers(cluster)
    if replicas is not None and gpus and replicas > len(gpus):
        raise TfsageError(f"replicas: {replicas} wanted, but this machine has {len(gpus)} GPUs; ask for fewer")
    count = replicas or len(gpus)
    if count < 2:
        return tf.distribute.get_strategy()
    if gpus:
        return tf.distribute.MirroredStrategy([f"GPU:{place}" for place in range(count)])
    devices = [tf.config.LogicalDeviceConfiguration()] * count
    _lay_out(lambda: tf.config.set_logical_device_configuration(_cpu(), devices))
    # Logical devices share their memory: adding up in one place spares them the copies that a ring makes.
    return tf.distribute.MirroredStrategy(
        [f"CPU:{place}" for place in range(count)], tf.distribute.ReductionToOneDevice()
    )


def value_of_chief(strategy: tf.distribute.Strategy, cluster: Cluster, value: int) -> int:
    """What the chief says, on every worker; nobody goes on before all workers have asked."""
    if cluster.size == 1:
        return value

    # In a graph: run eagerly, TensorFlow would leave threads behind when a worker is missing.
    @tf.function
    def agree() -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(say))[0]

    def say() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        is_first = context.replica_id_in_sync_group == 0
        own = tf.where(is_first, tf.constant(value if cluster.is_chief else 0, tf.int64), 0)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

    return int(agree())


def _several_workers(cluster: Cluster) -> tf.distribute.Strategy:
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.UnknownError as error:
        raise TfsageError(
            f"{cluster.name(cluster.rank)} cannot listen on its port ({error.message}); stop the process that uses it, "
            "perhaps an earlier worker, or change the port in TF_CONFIG"
        ) from None
    except RuntimeError as error:  # TensorFlow was in use before.
        raise _too_late(error) from None
    # TensorFlow now takes SIGTERM as news for those who ask, and the process would survive it.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_termination)
    return strategy


def _share(gpus: list, cluster: Cluster) -> list:
    if len(gpus) < cluster.size:
        raise TfsageError(f"workers: {cluster.size} on this machine, which has {len(gpus)} GPUs; start fewer")
    first, last = (place * len(gpus) // cluster.size for place in (cluster.rank, cluster.rank + 1))
    return gpus[first:last]


def _cpu():
    return tf.config.list_physical_devices("CPU")[0]


def _lay_out(change) -> None:
    try:
        change()
    except RuntimeError as error:
        raise _too_late(error) from None


def _too_late(error: RuntimeError) -> TfsageError:
    return TfsageError(f"TensorFlow was used before its devices could be laid out ({error}); train in a new process")
