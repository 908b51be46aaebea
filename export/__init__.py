"""Jobs that turn a trained run into a published bundle: towers, catalog, index, publish, in this order."""

# Imported first, since it chooses the Keras that TensorFlow loads.
from tfsage import __version__ as __version__
