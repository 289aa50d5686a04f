"""The measurements, one file each. A file says in `MEASUREMENTS` which it has; nothing else needs to know of it."""
