"""Reuse in ranking: the towers of a published bundle inside a Keras ranking model (`python -m examples.ranking`)."""
