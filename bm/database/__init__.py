"""PostgreSQL: connections and tables, for every room that keeps something there."""
