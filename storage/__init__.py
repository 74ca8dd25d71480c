"""Records, tables, queries and the transaction; knows SQL and nothing else of Tandem."""
