import tensorflow as tf

from tfsage.text.splitmix import splitmix64


def test_published_sequence():
    """The first outputs of the reference generator seeded with 0, whose state grows by the golden gamma."""
    golden = 0x9E3779B97F4A7C15
    states = tf.constant([0, golden, 2 * golden % 2**64], tf.uint64)
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert splitmix64(states).numpy().tolist() == expected
