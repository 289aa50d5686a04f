"""The contenders, one file each. A file says in `CONTENDERS` which it has; nothing else needs to know of it."""
