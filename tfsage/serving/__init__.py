"""Serving: the embedded model server, its query client, and search over a published bundle."""
