"""The retrieval service: search, similar products and Home over a published bundle, and a page to try them."""
