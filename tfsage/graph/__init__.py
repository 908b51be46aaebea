"""The pin–board graph: products and pins are joined through the boards that they were saved to (ItemSage §4.1.3)."""
