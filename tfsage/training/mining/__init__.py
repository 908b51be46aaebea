"""Hard negatives: products that the model as it is takes for similar to a query, though nothing says that they are."""
