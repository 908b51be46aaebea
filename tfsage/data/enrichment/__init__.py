"""Text that others wrote about products and pins: board titles, engaged queries and captions (OmniSearchSage §3.2).

The relations between rows (`board_titles`, `engaged_queries`) are Ibis expressions over the tables. DuckDB runs them
here, and PySpark where a log outgrows one machine. `jobs` reads tables and writes them with one more column.
"""
