"""What the tasks do: plain functions that every contender finds by their names, and that know none of them."""
